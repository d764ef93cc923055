//! Scheduling of threads that must not get in the way of traffic.

/// How far below the process its background threads run.
const STEPS: i32 = 10;
/// The longest that such a thread runs on while a traffic thread waits, in nanoseconds; the shortest that Linux takes.
const SLICE_NANOS: u64 = 100_000;

/// Lowers the priority of this thread. Traffic goes first even on a single core, and still the thread gets its tenth
/// of a busy one. Failing to is no fault.
pub(crate) fn lower() {
    let nice = rustix::process::getpriority_process(None).unwrap_or(0) + STEPS;
    let nice = nice.min(19);
    if !set_slice(nice) {
        let _ = rustix::process::setpriority_process(None, nice);
    }
}

/// `struct sched_attr` of sched_setattr(2), first version.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// For an ordinary thread the length of its slice (Linux 6.12; older ones pass it over).
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// A low weight alone is not enough: the scheduler lets a thread finish its slice of milliseconds before the one that
/// woke up runs.
#[allow(unsafe_code, reason = "there is no safe wrapper of this system call")]
fn set_slice(nice: i32) -> bool {
    let attributes = Attributes {
        size: u32::try_from(size_of::<Attributes>()).unwrap_or(0),
        policy: 0,
        flags: 0,
        nice,
        priority: 0,
        runtime: SLICE_NANOS,
        deadline: 0,
        period: 0,
    };
    // SAFETY: the kernel reads `size` bytes at the pointer, which is that much valid memory for the whole call, and
    // writes nothing. Thread 0 is the calling one.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    #[test]
    fn only_the_thread_that_asks_is_lowered() {
        let before = getpriority_process(None).unwrap();
        let lowered = std::thread::spawn(|| {
            super::lower();
            getpriority_process(None).unwrap()
        });
        assert_eq!(lowered.join().unwrap(), (before + super::STEPS).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
