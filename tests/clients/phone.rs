//! A real phone as a child process: what it is told, and what it shows.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a phone may take to show something; it is usually a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the phone has shown so far, line by line.
#[derive(Default)]
struct Shown {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// A message as a phone shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The name beside it; `-` where the phone shows none.
    pub name: String,
    /// The conversation it stands in.
    pub address: String,
    pub text: String,
}

/// A running phone.
pub struct Phone {
    pub user: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    shown: Arc<Shown>,
}

/// The folder of the programs that drive phones.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

impl Phone {
    /// Starts the program that drives a phone of `user`.
    pub fn start(user: &'static str, program: &Path, arguments: &[&str]) -> Phone {
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let shown = Arc::new(Shown::default());
        let (output, notes) = (child.stdout.take().expect("its output"), shown.clone());
        std::thread::spawn(move || {
            // What a phone shows need not be text: a receipt may be compressed.
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                let mut lines = notes.lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(line);
                notes.more.notify_all();
            }
        });
        let input = child.stdin.take();
        Phone {
            user,
            child,
            input,
            shown,
        }
    }

    /// Tells the phone what to do.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input");
        writeln!(input, "{line}").expect("a phone that listens");
        input.flush().expect("a phone that listens");
    }

    /// Sends a message.
    pub fn send(&mut self, address: &str, text: &str) {
        self.tell(&format!("send {address} {text}"));
    }

    /// How many lines it has shown.
    pub fn lines(&self) -> usize {
        let lines = self.shown.lines.lock();
        lines.unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits for a line behind the first `from` of which `wanted` makes something.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, from: usize, wanted: impl Fn(&str) -> Option<T>) -> T {
        self.find(from, PATIENCE, wanted).unwrap_or_else(|lines| {
            let (user, lines) = (self.user, lines.join("\n"));
            panic!("the phone of {user} did not show {what} in {PATIENCE:?}; it showed\n{lines}")
        })
    }

    /// Whether a message with this text is shown in time.
    pub fn shows_within(&self, text: &str, patience: Duration) -> bool {
        let wanted = |line: &str| message(line).filter(|message| message.text == text);
        self.find(0, patience, wanted).is_ok()
    }

    /// Whether this line is among those that it has shown.
    pub fn has_shown(&self, line: &str) -> bool {
        let lines = self.shown.lines.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        lines.iter().any(|shown| shown == line)
    }

    /// All lines, if none is found in time.
    fn find<T>(
        &self,
        from: usize,
        patience: Duration,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Vec<String>> {
        let end = Instant::now() + patience;
        let lines = self.shown.lines.lock();
        let mut lines = lines.unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = lines.iter().skip(from).find_map(|line| wanted(line)) {
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(lines.clone());
            }
            let waited = self.shown.more.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until it has registered, behind the first `from` lines.
    #[track_caller]
    pub fn registered(&self, from: usize) {
        self.wait("that it has registered", from, |line| {
            (line == "registered 200").then_some(())
        });
    }

    /// The messages with this text that it has shown.
    pub fn messages(&self, text: &str) -> Vec<Message> {
        let lines = self.shown.lines.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        let messages = lines.iter().filter_map(|line| message(line));
        messages.filter(|message| message.text == text).collect()
    }

    /// All texts that it has shown, in their order.
    pub fn texts(&self) -> Vec<String> {
        let lines = self.shown.lines.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        let messages = lines.iter().filter_map(|line| message(line));
        messages.map(|message| message.text).collect()
    }

    /// Waits for a message with this text.
    #[track_caller]
    pub fn shows(&self, text: &str) -> Message {
        self.wait(&format!("the message {text:?}"), 0, |line| {
            message(line).filter(|message| message.text == text)
        })
    }
}

fn message(line: &str) -> Option<Message> {
    let rest = line.strip_prefix("message ")?;
    let (name, rest) = rest.split_once(" <")?;
    let (address, text) = rest.split_once("> ")?;
    Some(Message {
        name: name.to_owned(),
        address: address.to_owned(),
        text: text.to_owned(),
    })
}

impl Drop for Phone {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.input = None;
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
