//! OpenSIPS's management interface by its module mi_fifo: JSON-RPC in one FIFO, the answer in another.

use super::PATIENCE;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A FIFO for one answer. It vanishes when it is dropped.
struct Reply {
    path: PathBuf,
    file: File,
}

impl Reply {
    fn new(folder: &Path, name: &str) -> Reply {
        let path = folder.join(name);
        let bytes = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("a path");
        // SAFETY: a plain system call on a string that ends with zero.
        let made = unsafe { libc::mkfifo(bytes.as_ptr(), 0o666) };
        assert_eq!(made, 0, "making {}", path.display());
        let mut options = OpenOptions::new();
        let options = options.read(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open(&path).expect("a FIFO for the answer");
        Reply { path, file }
    }

    /// All that is written until the other end is closed.
    fn read(&mut self) -> Result<Vec<u8>, String> {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = Vec::new();
        let mut buffer = [0; 65536];
        while Instant::now() < deadline {
            let mut wait = libc::pollfd {
                fd: self.file.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one pollfd that outlives the call.
            unsafe { libc::poll(&raw mut wait, 1, 100) };
            match self.file.read(&mut buffer) {
                // Nobody has opened the other end yet, or it is closed again.
                Ok(0) if bytes.is_empty() => {}
                Ok(0) => return Ok(bytes),
                Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!("no answer within {PATIENCE:?}"))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // The whole folder goes soon.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Asks the OpenSIPS of this folder; an error comes as `CODE MESSAGE`.
pub fn ask(folder: &Path, method: &str, parameters: &Value) -> Result<Value, String> {
    let name = format!("reply{}", super::flow::unique());
    let mut reply = Reply::new(folder, &name);
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters });
    let mut options = OpenOptions::new();
    // Without anybody who reads, opening fails at once.
    let options = options.write(true).custom_flags(libc::O_NONBLOCK);
    let fifo = folder.join("fifo");
    let mut file = options
        .open(&fifo)
        .map_err(|error| format!("{}: {error}", fifo.display()))?;
    let line = format!(":{name}:{request}\n");
    file.write_all(line.as_bytes())
        .map_err(|error| error.to_string())?;
    let bytes = reply.read()?;
    let mut answer: Value = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{error} in {}", String::from_utf8_lossy(&bytes)))?;
    match answer.get("error") {
        Some(error) => Err(format!(
            "{} {}{}",
            error["code"],
            error["message"].as_str().unwrap_or_default(),
            error
                .get("data")
                .map_or(String::new(), |data| format!(" {data}")),
        )),
        None => Ok(answer["result"].take()),
    }
}
