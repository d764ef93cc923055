//! Options of listening TCP sockets that the socket crate has no call for.
#![allow(
    unsafe_code,
    reason = "setsockopt takes a pointer; the proof stands at the only call"
)]

use socket2::Socket;
use std::io;
use std::os::fd::AsRawFd;

/// Longest wait for first bytes, in seconds, as nginx has it.
const DEFER_SECONDS: libc::c_int = 1;

/// Connections are shown to the listener when their first bytes have arrived (`tcp(7)`, `TCP_DEFER_ACCEPT`).
pub(super) fn defer_accept(socket: &Socket) -> io::Result<()> {
    set(socket, libc::TCP_DEFER_ACCEPT, DEFER_SECONDS)
}

/// Data may come with the first packet of a returning client (`tcp(7)`, `TCP_FASTOPEN`); `length` is that of the queue
/// of connections whose handshake is not over.
pub(super) fn fast_open(socket: &Socket, length: u32) -> io::Result<()> {
    set(
        socket,
        libc::TCP_FASTOPEN,
        libc::c_int::try_from(length).unwrap_or(libc::c_int::MAX),
    )
}

fn set(socket: &Socket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed; the pointer is to a live integer on this stack
    // frame and `length` is its size; the kernel copies the value and keeps no pointer.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            std::ptr::from_ref(&value).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};

    /// What the kernel reports as the option's value.
    fn get(socket: &Socket, option: libc::c_int) -> libc::c_int {
        let mut value: libc::c_int = -1;
        let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap();
        // SAFETY: both pointers are to live integers on this stack frame, and `length` is the size of the first.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                option,
                std::ptr::from_mut(&mut value).cast(),
                &raw mut length,
            )
        };
        assert_eq!(result, 0, "{}", io::Error::last_os_error());
        value
    }

    #[test]
    fn the_kernel_takes_both_options() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert_eq!(get(&socket, libc::TCP_DEFER_ACCEPT), 0);
        defer_accept(&socket).unwrap();
        assert!(get(&socket, libc::TCP_DEFER_ACCEPT) >= DEFER_SECONDS);
        socket
            .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        socket.listen(16).unwrap();
        fast_open(&socket, 33).unwrap();
        assert_eq!(get(&socket, libc::TCP_FASTOPEN), 33);
    }

    #[test]
    fn a_socket_of_another_kind_is_an_error() {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        assert!(defer_accept(&socket).is_err());
    }
}
