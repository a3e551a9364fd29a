//! What scripts keep beside a message: AVPs and their kin, and branches. Kamailio forgets them when a message of
//! the network ends (`ksr_msg_env_reset`), and never by itself for a message that a module has made.

use crate::host::symbol::{Missing, function};
use std::ffi::{c_uint, c_void};
use std::ptr::null_mut;

/// The lists of AVPs that belong to a message: `AVP_TRACK_FROM` and `AVP_TRACK_TO`, each with `AVP_CLASS_URI`,
/// `AVP_CLASS_USER` and `AVP_CLASS_DOMAIN`. Those of `AVP_CLASS_GLOBAL` belong to the proxy.
const AVP_LISTS: [c_uint; 6] = [
    1 << 8 | 1 << 4,
    1 << 9 | 1 << 4,
    1 << 8 | 1 << 5,
    1 << 9 | 1 << 5,
    1 << 8 | 1 << 6,
    1 << 9 | 1 << 6,
];

/// The first element of a list of AVPs or XAVPs, which is only passed on.
type First = *mut c_void;
/// `xavp_set_list` and its kin: has the script use another list, and gives the one it used.
type SetList = unsafe extern "C" fn(*mut First) -> *mut First;
/// `destroy_avp_list` and `xavp_destroy_list`.
type DestroyList = unsafe extern "C" fn(*mut First);

/// The functions that exchange and free these lists.
#[derive(Clone, Copy)]
pub struct Environment {
    set_avp_list: unsafe extern "C" fn(c_uint, *mut First) -> *mut First,
    destroy_avp_list: DestroyList,
    /// Of `$xavp(...)`, `$xavu(...)` and `$xavi(...)`.
    set_xavp_lists: [SetList; 3],
    /// Frees a list of any of the three.
    destroy_xavp_list: DestroyList,
    clear_branches: unsafe extern "C" fn(),
    route_type: *mut c_uint,
}

impl Environment {
    /// Finds the functions, or names what is missing.
    pub fn find() -> Result<Self, Missing> {
        // SAFETY: each field has the signature of the function of its name in all versions. The flags of AVPs
        // have 16 bits in some, of which the callee then takes no more.
        unsafe {
            Ok(Self {
                set_avp_list: function(c"set_avp_list")?,
                destroy_avp_list: function(c"destroy_avp_list")?,
                set_xavp_lists: [
                    function(c"xavp_set_list")?,
                    function(c"xavu_set_list")?,
                    function(c"xavi_set_list")?,
                ],
                destroy_xavp_list: function(c"xavp_destroy_list")?,
                clear_branches: function(c"clear_branches")?,
                route_type: function(c"route_type")?,
            })
        }
    }

    /// Runs a route of this kind, which finds nothing of an earlier one and leaves nothing behind. What the caller's
    /// script had is there again afterwards.
    ///
    /// # Safety
    /// `run` must be what runs a route, in a process of the proxy.
    pub unsafe fn apart(&self, route_type: c_uint, run: impl FnOnce()) {
        let mut own = Lists {
            avps: [null_mut(); AVP_LISTS.len()],
            xavps: [null_mut(); 3],
        };
        // Kamailio and the module reach the lists by this pointer only.
        let own = &raw mut own;
        // SAFETY: the lists are empty, and stay where they are until the guard has put the others back.
        let before = unsafe { self.exchange(own, route_type) };
        let _guard = Apart {
            environment: *self,
            own,
            before,
        };
        run();
    }

    /// # Safety
    /// The lists must stay where they are until the others are put back.
    unsafe fn exchange(&self, own: *mut Lists, route_type: c_uint) -> Before {
        // SAFETY: Kamailio keeps the pointers, and what they point to stays.
        unsafe {
            let mut avps = [null_mut(); AVP_LISTS.len()];
            for ((at, before), flags) in avps.iter_mut().enumerate().zip(AVP_LISTS) {
                *before = (self.set_avp_list)(flags, &raw mut (*own).avps[at]);
            }
            let mut xavps = [null_mut(); 3];
            for ((at, before), set) in xavps.iter_mut().enumerate().zip(self.set_xavp_lists) {
                *before = set(&raw mut (*own).xavps[at]);
            }
            (self.clear_branches)();
            Before {
                avps,
                xavps,
                route_type: self.route_type.replace(route_type),
            }
        }
    }
}

// SAFETY: the pointer is to a variable of the core, which each process has for itself.
unsafe impl Send for Environment {}
// SAFETY: as above.
unsafe impl Sync for Environment {}

/// The lists of one route.
struct Lists {
    avps: [First; AVP_LISTS.len()],
    xavps: [First; 3],
}

/// What the script had before.
struct Before {
    avps: [*mut First; AVP_LISTS.len()],
    xavps: [*mut First; 3],
    route_type: c_uint,
}

/// While a route runs with lists of its own.
struct Apart {
    environment: Environment,
    own: *mut Lists,
    before: Before,
}

impl Drop for Apart {
    /// Puts back what was there, and frees what the route has left. A transaction that the route has made has taken
    /// its lists with it, which are empty then.
    fn drop(&mut self) {
        let Self {
            environment,
            own,
            before,
        } = self;
        // SAFETY: the pointers are those that Kamailio gave, and the lists are those that it was lent.
        unsafe {
            for (list, flags) in before.avps.into_iter().zip(AVP_LISTS) {
                (environment.set_avp_list)(flags, list);
            }
            for (list, set) in before.xavps.into_iter().zip(environment.set_xavp_lists) {
                set(list);
            }
            for at in 0..AVP_LISTS.len() {
                (environment.destroy_avp_list)(&raw mut (**own).avps[at]);
            }
            for at in 0..environment.set_xavp_lists.len() {
                (environment.destroy_xavp_list)(&raw mut (**own).xavps[at]);
            }
            (environment.clear_branches)();
            *environment.route_type = before.route_type;
        }
    }
}
