//! What cargo test said, in its own lines, without the tests that passed.

/// How the line begins that says that a target was killed.
pub(super) const SILENCE: &str = "error: nothing was printed ";

/// Collects the lines that matter while they go by.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// The target whose results come next, as cargo announced it.
    target: String,
    /// Its tests that take long: one of them it is that hangs.
    slow: Vec<String>,
    lines: Vec<String>,
    totals: Totals,
    broken: bool,
}

/// Sums over targets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    targets: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
    measured: u64,
    filtered: u64,
    seconds: f64,
}

impl Summary {
    /// Takes the next line of cargo's output.
    pub(crate) fn read(&mut self, line: &str) {
        let announced =
            ["Running ", "Doc-tests "].iter().any(|word| line.trim_start().starts_with(word));
        if announced && line.starts_with("  ") {
            line.clone_into(&mut self.target);
            self.slow.clear();
        } else if line.ends_with(" has been running for over 60 seconds") {
            self.slow.push(line.to_owned());
        } else if is_failure(line) {
            if line.starts_with(SILENCE) {
                self.lines.append(&mut self.slow);
            }
            self.lines.push(line.to_owned());
        } else if line.starts_with("test result: ") {
            self.read_result(line);
        }
    }

    /// Takes what cargo itself makes of it: where it could not even build a test, no result was printed.
    pub(crate) fn end(&mut self, success: bool) {
        self.broken |= !success;
    }

    fn read_result(&mut self, line: &str) {
        let of = |word: &str| number_before(line, word).unwrap_or(0.0);
        let (passed, failed, ignored) =
            (count(of("passed;")), count(of("failed;")), count(of("ignored;")));
        self.totals.targets += 1;
        self.totals.passed += passed;
        self.totals.failed += failed;
        self.totals.ignored += ignored;
        self.totals.measured += count(of("measured;"));
        self.totals.filtered += count(of("filtered"));
        let time = line.rsplit_once("finished in ").and_then(|(_, time)| time.strip_suffix('s'));
        self.totals.seconds += time.and_then(|time| time.parse::<f64>().ok()).unwrap_or(0.0);
        // A target without tests says nothing, unless something is wrong with it.
        if passed + failed + ignored > 0 || !line.contains(": ok.") {
            self.lines.push(self.target.clone());
            self.lines.push(line.to_owned());
        }
    }

    /// The lines so far, and the sum of all targets in the same words.
    pub(crate) fn text(&self) -> String {
        let Totals { targets, passed, failed, ignored, measured, filtered, seconds } = self.totals;
        let good = failed == 0 && passed > 0 && !self.broken;
        let word = if good { "ok" } else { "FAILED" };
        let mut text = self.lines.join("\n");
        text.push_str(&format!(
            "\n     All {targets} targets\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; \
             {measured} measured; {filtered} filtered out; finished in {seconds:.2}s\n"
        ));
        text
    }
}

/// A test that failed, a target that could not be built, or one that ended before its tests did.
fn is_failure(line: &str) -> bool {
    let failed = line.starts_with("test ") && line.ends_with("... FAILED");
    let words = ["error: could not compile ", SILENCE, "  process didn't exit "];
    failed || words.iter().any(|word| line.starts_with(word))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of tests are small whole numbers"
)]
fn count(number: f64) -> u64 {
    number as u64
}

fn number_before(line: &str, word: &str) -> Option<f64> {
    let words: Vec<&str> = line.split(' ').collect();
    let at = words.iter().position(|other| *other == word)?;
    words.get(at.checked_sub(1)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_run_is_no_success() {
        let mut summary = Summary::default();
        assert!(summary.text().contains("result: FAILED. 0 passed"), "{}", summary.text());
        summary.read("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert!(
            summary.text().ends_with(" finished in 0.00s\n") && !summary.text().contains("FAILED")
        );
        summary.read("error: could not compile `cask` (lib test) due to 1 previous error");
        summary.end(false);
        let text = summary.text();
        assert!(
            text.contains("could not compile `cask`") && text.contains("result: FAILED. 1 passed"),
            "{text}"
        );
    }

    #[test]
    fn what_hangs_is_named() {
        let mut summary = Summary::default();
        let slow = "test two has been running for over 60 seconds";
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/a-1)",
            "test one has been running for over 60 seconds",
            "     Running unittests src/lib.rs (target/debug/deps/b-1)",
            slow,
            "error: nothing was printed for 480 s: killed",
            "  process didn't exit successfully: `target/debug/deps/b-1` (signal: 9, SIGKILL: kill)",
        ] {
            summary.read(line);
        }
        let text = summary.text();
        assert!(text.contains(slow) && !text.contains("test one"), "{text}");
        assert!(text.contains("480 s: killed") && text.contains("SIGKILL"), "{text}");
    }

    #[test]
    fn results_are_kept_and_summed() {
        let mut summary = Summary::default();
        for line in "\
   Compiling cask v0.1.0
     Running unittests src/lib.rs (target/debug/deps/a-1)
running 2 tests
test one ... ok
test two ... FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s
     Running unittests src/main.rs (target/debug/deps/b-1)
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests cask
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.25s"
            .lines()
        {
            summary.read(line);
        }
        let expected = "\
test two ... FAILED
     Running unittests src/lib.rs (target/debug/deps/a-1)
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s
   Doc-tests cask
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.25s
     All 3 targets
test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.75s
";
        assert_eq!(summary.text(), expected);
    }
}
