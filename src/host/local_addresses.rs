//! The addresses of this machine.

use std::net::IpAddr;
use std::ptr::null_mut;

/// The addresses of all interfaces, including loopback; empty if the system call fails.
pub fn local_addresses() -> Vec<IpAddr> {
    let mut first = null_mut();
    // SAFETY: the system stores the start of its list.
    if unsafe { libc::getifaddrs(&mut first) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: the elements of the list live until it is freed; each points to the next one or to nothing, and to an
    // address of its family or to nothing.
    unsafe {
        while let Some(interface) = next.as_ref() {
            let family = interface.ifa_addr.as_ref().map(|a| i32::from(a.sa_family));
            match family {
                Some(libc::AF_INET) => {
                    let address = &*interface.ifa_addr.cast::<libc::sockaddr_in>();
                    found.push(IpAddr::from(address.sin_addr.s_addr.to_ne_bytes()));
                }
                Some(libc::AF_INET6) => {
                    let address = &*interface.ifa_addr.cast::<libc::sockaddr_in6>();
                    found.push(IpAddr::from(address.sin6_addr.s6_addr));
                }
                _ => {}
            }
            next = interface.ifa_next;
        }
        libc::freeifaddrs(first);
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_is_included() {
        let loopback = "127.0.0.1".parse().unwrap();
        assert!(super::local_addresses().contains(&loopback));
    }
}
