//! Where tests make the file system fail, or the process die: before every step that changes it.

/// Called before every change of the file system.
#[cfg(not(test))]
pub(crate) fn step() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use injected::step;

#[cfg(test)]
pub(crate) mod injected {
    use std::cell::Cell;
    use std::io;

    /// What happens at a step.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Fault {
        /// The step, counted from zero, fails with an I/O error.
        Fail(u64),
        /// The step, counted from zero, finds no space left on the disk.
        Full(u64),
        /// The process dies before the step, as if by `kill -9`.
        Die(u64),
    }

    thread_local! {
        static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    /// Arms a fault for this thread, or none, and counts from zero again.
    pub(crate) fn arm(fault: Option<Fault>) {
        FAULT.set(fault);
        STEPS.set(0);
    }

    /// How many steps this thread took since [`arm`].
    pub(crate) fn steps() -> u64 {
        STEPS.get()
    }

    pub(crate) fn step() -> io::Result<()> {
        let number = STEPS.replace(STEPS.get() + 1);
        match FAULT.get() {
            Some(Fault::Fail(at)) if at == number => {
                Err(io::Error::other(format!("step {number} was told to fail")))
            }
            Some(Fault::Full(at)) if at == number => {
                Err(io::Error::new(io::ErrorKind::StorageFull, format!("step {number} is full")))
            }
            Some(Fault::Die(at)) if at == number => {
                let own = rustix::process::getpid();
                rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
                unreachable!("nothing survives SIGKILL")
            }
            _ => Ok(()),
        }
    }
}
