//! Work that is left to a device: a program behind a device that is none (a switch in user space) never does it.

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::error::Error;
use crate::names::DevName;
use crate::namespace::Namespace;

/// `ETHTOOL_GRXCSUM`, and so on (linux/ethtool.h): what asks, and what sets.
const RECEIVED: (u32, u32) = (0x14, 0x15);
const SENT: (u32, u32) = (0x16, 0x17);

/// linux/sockios.h
const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// `struct ethtool_value`
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Has the kernel itself fill in and verify the checksums of what passes `dev`; whether anything had to be changed.
pub async fn keep_checksums(ns: &Namespace, dev: &DevName) -> Result<bool, Error> {
    let (name, of) = (dev.clone(), dev.clone());
    let (place, kind, flags) = (
        ns.place().clone(),
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
    );
    let changed = ns.enter(move || {
        let any = socket(AddressFamily::Inet, kind, flags, None)?;
        let mut changed = false;
        for (get, set) in [RECEIVED, SENT] {
            if ask(&any, &name, get, 1)? != 0 {
                ask(&any, &name, set, 0)?;
                changed = true;
            }
        }
        Ok(changed)
    });
    changed.await.map_err(|error| match error {
        Error::Inside { source, .. } => Error::Offload {
            place,
            dev: of,
            source,
        },
        other => other,
    })
}

fn ask(socket: &impl AsRawFd, dev: &DevName, command: u32, data: u32) -> io::Result<u32> {
    let mut value = EthtoolValue { command, data };
    // SAFETY: plain old data, for which all zeroes is a value.
    #[allow(unsafe_code, reason = "the structure has a union and no constructor")]
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // A name has at most 15 bytes: the last of the 16 stays zero.
    for (to, from) in request.ifr_name.iter_mut().zip(dev.as_str().bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: `request` and the value that it points to live through the call, and are what these commands read and write.
    #[allow(unsafe_code, reason = "no crate at hand speaks to ethtool")]
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    Errno::result(answer)?;
    Ok(value.data)
}
