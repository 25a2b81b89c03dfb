//! The files of a log: the one that is written, and those that were put aside before it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use cask_files::Identity;

/// Bytes that are read at once where the last lines are looked for.
const PIECE: u64 = 64 << 10;
/// So many bytes of a line tell whether it is whole.
const HEAD: usize = 128;

/// Gives the lines of a log, from the oldest file to the one that is written.
pub(super) struct LogFiles {
    path: PathBuf,
    /// How many files a log has at most.
    most: u32,
    now: Option<BufReader<File>>,
    /// Newer ones.
    waiting: VecDeque<File>,
    line: Vec<u8>,
    /// The line was given.
    given: bool,
}

impl LogFiles {
    /// Opens what there is: of `tail` lines where those begin.
    pub(super) fn open(path: PathBuf, most: u32, tail: Option<usize>) -> io::Result<Self> {
        let mut files = newest_first(&path, most)?;
        if let Some(count) = tail
            && let Some((index, offset)) = start_of_tail(&files, count)?
        {
            files.truncate(index + 1);
            files[index].seek(SeekFrom::Start(offset))?;
        }
        let waiting = files.into_iter().rev().collect();
        Ok(Self { path, most, now: None, waiting, line: Vec::new(), given: false })
    }

    /// The next line, without its end; `None` where it is not there yet.
    pub(super) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        if self.given {
            self.given = false;
            self.line.clear();
        }
        loop {
            if let Some(now) = &mut self.now {
                now.read_until(b'\n', &mut self.line)?;
                if self.line.last() == Some(&b'\n') {
                    self.line.pop();
                    self.given = true;
                    return Ok(Some(&self.line));
                }
            }
            let Some(next) = self.waiting.pop_front() else { return Ok(None) };
            self.now = Some(BufReader::new(next));
            // A line never goes on in another file.
            self.line.clear();
        }
    }

    /// Looks for files that were begun since; says whether there are any. What was written to the last one before they
    /// were is read first.
    pub(super) fn has_newer(&mut self) -> io::Result<bool> {
        let own = self.now.as_ref().map(|now| identity(now.get_ref())).transpose()?;
        if own.is_some()
            && rustix::fs::stat(&self.path).ok().map(|found| cask_files::identity(&found)) == own
        {
            return Ok(false);
        }
        let mut newer = VecDeque::new();
        for file in newest_first(&self.path, self.most)? {
            if Some(identity(&file)?) == own {
                break;
            }
            newer.push_front(file);
        }
        self.waiting = newer;
        Ok(!self.waiting.is_empty())
    }
}

/// Opens the files of a log that there are.
fn newest_first(path: &Path, most: u32) -> io::Result<Vec<File>> {
    let mut found: Vec<(File, Identity)> = Vec::new();
    let mut missing = 0;
    for number in 0..most.max(1) {
        let file = match File::open(numbered(path, number)) {
            // While files get other names, one is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing < 2 => {
                missing += 1;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            opened => opened?,
        };
        let id = identity(&file)?;
        // It got another name meanwhile.
        if !found.iter().any(|(_, known)| *known == id) {
            found.push((file, id));
        }
    }
    Ok(found.into_iter().map(|(file, _)| file).collect())
}

/// The name of a file of a log: the one that is written is number 0.
pub(in super::super) fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn identity(file: &File) -> io::Result<Identity> {
    Ok(cask_files::identity(&rustix::fs::fstat(file)?))
}

/// Where the last lines begin: in which file, and where there. Parts of a line count as one. `None` is at the beginning of
/// everything.
fn start_of_tail(newest_first: &[File], mut count: usize) -> io::Result<Option<(usize, u64)>> {
    if count == 0 {
        let Some(newest) = newest_first.first() else { return Ok(None) };
        return Ok(Some((0, newest.metadata()?.len())));
    }
    for (index, file) in newest_first.iter().enumerate() {
        if let Some(offset) = end_of_earlier(file, &mut count)? {
            return Ok(Some((index, offset)));
        }
    }
    Ok(None)
}

/// The end of the whole line that has `count` whole ones behind it, read from the end in pieces; takes what is there
/// off `count`.
fn end_of_earlier(file: &File, count: &mut usize) -> io::Result<Option<u64>> {
    let mut is_it = |line: &[u8]| {
        is_whole(line) && {
            let earlier = *count == 0;
            *count = count.saturating_sub(1);
            earlier
        }
    };
    let mut end = file.metadata()?.len();
    // Of what stands behind the piece, the beginning; and where the line ends whose beginning is looked for.
    let (mut head, mut line_end) = (Vec::new(), None);
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let length = usize::try_from(end - start).expect("a piece is short");
        let mut piece = vec![0; length];
        file.read_exact_at(&mut piece, start)?;
        piece.extend_from_slice(&head);
        let mut stop = length;
        while let Some(newline) = piece[..stop].iter().rposition(|byte| *byte == b'\n') {
            if let Some(line_end) = line_end
                && is_it(&piece[newline + 1..])
            {
                return Ok(Some(line_end));
            }
            line_end = Some(start + newline as u64 + 1);
            stop = newline;
        }
        piece.truncate(HEAD);
        (head, end) = (piece, start);
    }
    Ok(line_end.filter(|_| is_it(&head)))
}

/// Whether the line that begins here is whole: `TIME stdout|stderr F …`.
fn is_whole(text: &[u8]) -> bool {
    let head = &text[..text.len().min(HEAD)];
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.splitn(4, |byte| *byte == b' ').nth(2) == Some(b"F")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> String {
        format!("2026-01-01T00:00:00Z stdout F {text}\n")
    }

    fn part(text: &str) -> String {
        format!("2026-01-01T00:00:00Z stdout P {text}\n")
    }

    /// The texts of all lines that there are now.
    fn texts(files: &mut LogFiles) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(line) = files.next_line().unwrap() {
            let line = String::from_utf8(line.to_vec()).unwrap();
            all.push(line.splitn(4, ' ').nth(3).unwrap().to_owned());
        }
        all
    }

    /// The last lines of a log of which these are the files, the newest first.
    fn tail(newest_first: &[&[String]], count: usize) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for (number, lines) in (0..).zip(newest_first) {
            std::fs::write(numbered(&path, number), lines.concat()).unwrap();
        }
        texts(&mut LogFiles::open(path, 9, Some(count)).unwrap())
    }

    #[test]
    fn tails_are_found_from_the_end() {
        let few: Vec<String> = ["a", "b", "c"].map(line).to_vec();
        assert_eq!(tail(&[&few], 2), ["b", "c"]);
        assert_eq!(tail(&[&few], 3), ["a", "b", "c"]);
        assert_eq!(tail(&[&few], 9), ["a", "b", "c"]);
        assert_eq!(tail(&[&few], 0), [""; 0]);
        assert_eq!(tail(&[&[]], 3), [""; 0]);
        assert_eq!(tail(&[], 3), [""; 0]);
        let many: Vec<String> = (0..10_000).map(|number| line(&number.to_string())).collect();
        assert_eq!(tail(&[&many], 3), ["9997", "9998", "9999"]);
        for count in [9_999, 10_000, 10_001, 1_700, 1_701, 1_702] {
            assert_eq!(tail(&[&many], count).len(), count.min(10_000));
        }
        let long = vec![line("x"), line(&"y".repeat(200_000)), line("z")];
        assert_eq!(tail(&[&long], 1), ["z"]);
        assert_eq!(tail(&[&long], 2).len(), 2);
        // Beginnings of lines wherever pieces begin.
        for more in 0..80 {
            let lines = vec![line("a"), line(&"b".repeat(65_420 + more)), line("c")];
            assert_eq!(tail(&[&lines], 1), ["c"]);
            assert_eq!(tail(&[&lines], 2).len(), 2, "{more}");
        }
    }

    #[test]
    fn parts_of_a_line_count_as_one_and_what_is_not_ended_does_not() {
        let mut lines = vec![line("a"), part("b1"), part("b2"), line("b3"), part("c1")];
        assert_eq!(tail(&[&lines], 1), ["b1", "b2", "b3", "c1"]);
        lines.extend([line("c2"), "2026-01-01T00:00:00Z stdout F beg".to_owned()]);
        assert_eq!(tail(&[&lines], 1), ["c1", "c2"]);
        assert_eq!(tail(&[&lines], 2), ["b1", "b2", "b3", "c1", "c2"]);
    }

    #[test]
    fn a_log_goes_on_in_the_files_before() {
        let files: [&[String]; 3] = [
            &[line("e"), line("f")],
            &[line("c2"), line("d")],
            &[line("a"), line("b"), part("c1")],
        ];
        assert_eq!(tail(&files, 1), ["f"]);
        assert_eq!(tail(&files, 2), ["e", "f"]);
        assert_eq!(tail(&files, 3), ["d", "e", "f"]);
        assert_eq!(tail(&files, 4), ["c1", "c2", "d", "e", "f"]);
        assert_eq!(tail(&files, 100), ["a", "b", "c1", "c2", "d", "e", "f"]);
        assert_eq!(tail(&files, 0), [""; 0]);
    }

    #[test]
    fn of_a_large_file_the_end_alone_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        // What is before has no end of a line: whoever read it would be busy for an hour.
        let lines = ["\n".to_owned(), line("a"), part("b1"), line("b2"), line("c")].concat();
        File::create(&path).unwrap().write_all_at(lines.as_bytes(), 1 << 42).unwrap();
        let mut files = LogFiles::open(path, 2, Some(2)).unwrap();
        assert_eq!(texts(&mut files), ["b1", "b2", "c"]);
    }

    #[test]
    fn what_is_put_aside_while_it_is_followed_is_read_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let write = |number: u32, text: &str| {
            let mut options = File::options();
            let mut file = options.append(true).create(true).open(numbered(&path, number)).unwrap();
            std::io::Write::write_all(&mut file, line(text).as_bytes()).unwrap();
        };
        let mut files = LogFiles::open(path.clone(), 3, None).unwrap();
        assert!(files.next_line().unwrap().is_none() && !files.has_newer().unwrap());
        write(0, "a");
        assert!(files.has_newer().unwrap());
        assert_eq!(texts(&mut files), ["a"]);
        assert!(!files.has_newer().unwrap());
        write(0, "b");
        std::fs::rename(&path, numbered(&path, 1)).unwrap();
        write(0, "c");
        // Twice, before anybody looks.
        std::fs::rename(numbered(&path, 1), numbered(&path, 2)).unwrap();
        std::fs::rename(&path, numbered(&path, 1)).unwrap();
        write(0, "d");
        assert!(files.has_newer().unwrap());
        assert_eq!(texts(&mut files), ["b", "c", "d"]);
        assert!(!files.has_newer().unwrap());
        // What was read last is gone: everything that is there is newer.
        for number in [2, 1, 0] {
            std::fs::remove_file(numbered(&path, number)).unwrap();
        }
        assert!(!files.has_newer().unwrap());
        write(0, "e");
        assert!(files.has_newer().unwrap());
        assert_eq!(texts(&mut files), ["e"]);
    }
}
