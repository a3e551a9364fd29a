//! Whether a script in Lua or Python has a function of some name. Kamailio does not say: `sr_kemi_route` returns the
//! same for one that is missing as for one that ran (5.6 to 6.1), and logs nothing. So the language itself is asked, as
//! app_lua (`lua_getglobal`) and app_python3 (`PyObject_GetAttrString`) ask it before they call. Both modules, and with
//! them the libraries of the languages, are loaded with RTLD_GLOBAL. Other languages are not asked.

use crate::host::symbol::{Missing, find, function};
use std::ffi::{CStr, c_char, c_int, c_void};

/// `LUA_GLOBALSINDEX`, which Lua has until 5.1, LuaJIT among them.
const LUA_GLOBALS: c_int = -10002;
/// `LUA_TFUNCTION`.
const LUA_FUNCTION: c_int = 6;

/// A language that can be asked.
pub enum ScriptFunctions {
    Lua(Lua),
    Python(Python),
}

/// The functions of Lua that are needed. A state belongs to the process that made it.
pub struct Lua {
    /// `sr_lua_env_get`: what app_lua has in this process.
    environment: unsafe extern "C" fn() -> *const LuaEnvironment,
    /// Puts a global on top of the stack.
    get: LuaGet,
    kind: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    set_top: unsafe extern "C" fn(*mut c_void, c_int),
}

enum LuaGet {
    /// `lua_getglobal`, which is a function since Lua 5.2.
    Global(unsafe extern "C" fn(*mut c_void, *const c_char)),
    /// `lua_getfield`.
    Field(unsafe extern "C" fn(*mut c_void, c_int, *const c_char)),
}

/// The head of `sr_lua_env_t`.
#[repr(C)]
struct LuaEnvironment {
    /// Of `lua_dostring` in Kamailio's own script.
    _single: *mut c_void,
    /// Of the scripts that the parameter `load` names.
    loaded: *mut c_void,
}

/// The functions of Python that are needed.
pub struct Python {
    /// The variable with the object whose methods are called.
    handler: *const *mut c_void,
    ensure: unsafe extern "C" fn() -> c_int,
    release: unsafe extern "C" fn(c_int),
    get: unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void,
    is_callable: unsafe extern "C" fn(*mut c_void) -> c_int,
    unref: unsafe extern "C" fn(*mut c_void),
    clear_error: unsafe extern "C" fn(),
}

// SAFETY: the pointers are to functions, and to a variable of app_python3, which each process has for itself.
unsafe impl Send for ScriptFunctions {}
// SAFETY: as above.
unsafe impl Sync for ScriptFunctions {}

impl ScriptFunctions {
    /// Those of the language that Kamailio's engine of this name runs, if it can be asked.
    pub fn of(engine: &CStr) -> Option<Self> {
        match engine.to_bytes() {
            b"lua" => Lua::find().ok().map(Self::Lua),
            b"python" => Python::find().ok().map(Self::Python),
            _ => None,
        }
    }

    /// Whether the script has this function in this process; `None` where it has not been loaded.
    ///
    /// # Safety
    /// To be called in a process of Kamailio's, while no function of the script runs.
    pub unsafe fn have(&self, name: &CStr) -> Option<bool> {
        // SAFETY: as is required above.
        unsafe {
            match self {
                Self::Lua(lua) => lua.has(name),
                Self::Python(python) => python.has(name),
            }
        }
    }

    /// Where the script must have a function.
    pub fn place(&self) -> &'static str {
        match self {
            Self::Lua(_) => "a global function of the Lua script",
            Self::Python(_) => {
                "a method of the object that mod_init() of the Python script returns"
            }
        }
    }
}

impl Lua {
    fn find() -> Result<Self, Missing> {
        // SAFETY: each has the signature of the function of its name in all versions of Lua; what they return besides
        // is not read.
        unsafe {
            let get = match find(c"lua_getglobal") {
                Some(_) => LuaGet::Global(function(c"lua_getglobal")?),
                None => LuaGet::Field(function(c"lua_getfield")?),
            };
            Ok(Self {
                environment: function(c"sr_lua_env_get")?,
                get,
                kind: function(c"lua_type")?,
                set_top: function(c"lua_settop")?,
            })
        }
    }

    /// # Safety
    /// As [`ScriptFunctions::have`].
    unsafe fn has(&self, name: &CStr) -> Option<bool> {
        // SAFETY: app_lua gives a pointer to its own variable, whose head is the same in all known versions; the state
        // is that of this process, and its stack is left as it was found.
        unsafe {
            let state = (*(self.environment)()).loaded;
            if state.is_null() {
                return None;
            }
            match self.get {
                LuaGet::Global(get) => get(state, name.as_ptr()),
                LuaGet::Field(get) => get(state, LUA_GLOBALS, name.as_ptr()),
            }
            let found = (self.kind)(state, -1) == LUA_FUNCTION;
            (self.set_top)(state, -2);
            Some(found)
        }
    }
}

impl Python {
    fn find() -> Result<Self, Missing> {
        // SAFETY: each has the signature of the function, or the type of the variable, of its name.
        unsafe {
            Ok(Self {
                handler: function(c"_sr_apy_handler_obj")?,
                ensure: function(c"PyGILState_Ensure")?,
                release: function(c"PyGILState_Release")?,
                get: function(c"PyObject_GetAttrString")?,
                is_callable: function(c"PyCallable_Check")?,
                unref: function(c"Py_DecRef")?,
                clear_error: function(c"PyErr_Clear")?,
            })
        }
    }

    /// # Safety
    /// As [`ScriptFunctions::have`].
    unsafe fn has(&self, name: &CStr) -> Option<bool> {
        // SAFETY: the object is app_python3's, which keeps it; the reference that is got is given back, and all of it
        // happens with the interpreter's lock.
        unsafe {
            let handler = *self.handler;
            if handler.is_null() {
                return None;
            }
            let lock = (self.ensure)();
            let found = (self.get)(handler, name.as_ptr());
            let is_there = !found.is_null() && (self.is_callable)(found) != 0;
            // Takes null too.
            (self.unref)(found);
            (self.clear_error)();
            (self.release)(lock);
            Some(is_there)
        }
    }
}
