//! Where tests make the file system fail, or the process die: before every step that changes it.

#[cfg(feature = "faults")]
pub use injected::{Fault, arm, step, steps};

/// Stands before every change of the file system. It does nothing, but for tests with the feature
/// `faults`.
///
/// # Errors
/// The one that a test has armed for this step.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn step() -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "faults")]
mod injected {
    use std::cell::Cell;
    use std::io;

    /// What happens at a step.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fault {
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
    pub fn arm(fault: Option<Fault>) {
        FAULT.set(fault);
        STEPS.set(0);
    }

    /// How many steps this thread took since [`arm`].
    pub fn steps() -> u64 {
        STEPS.get()
    }

    /// Stands before every change of the file system.
    ///
    /// # Errors
    /// The one that was armed for this step.
    pub fn step() -> io::Result<()> {
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

#[cfg(all(test, feature = "faults"))]
mod tests {
    use super::{Fault, arm, step, steps};

    #[test]
    fn the_armed_step_fails_and_no_other() {
        arm(Some(Fault::Fail(1)));
        assert!(step().is_ok());
        assert_eq!(step().unwrap_err().to_string(), "step 1 was told to fail");
        assert!(step().is_ok());
        assert_eq!(steps(), 3);
        arm(None);
        assert_eq!(steps(), 0);
        assert!(step().is_ok() && step().is_ok());
    }
}
