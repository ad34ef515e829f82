//! The local server, as a process of its own.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

pub(crate) const ADMIN_EMAIL: &str = "admin@example.com";
pub(crate) const ADMIN_PASSWORD: &str = "correct horse battery staple";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_load";

/// A running server. It ends with this value.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) dynamodb_url: String,
    process: Child,
    /// Held open: the server may say more.
    output: BufReader<ChildStdout>,
    /// Held until the end.
    _data: TempDir,
}

impl Server {
    /// Starts the server `binary`, or the one beside this binary.
    pub(crate) fn start(binary: Option<&Path>, log: Option<&Path>) -> Result<Self, String> {
        let own = env::current_exe().map_err(|error| error.to_string())?;
        let beside = own.with_file_name("rollcall");
        let binary = binary.unwrap_or(&beside);
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let stderr = match log {
            Some(log) => File::create(log).map_err(|error| format!("{}: {error}", log.display()))?.into(),
            None => Stdio::null(),
        };
        let mut process = Command::new(binary)
            .args(["--port", "0", "--dynamodb-port", "0", "--admin-email", ADMIN_EMAIL])
            .args(["--admin-password", ADMIN_PASSWORD, "--stripe-webhook-secret", WEBHOOK_SECRET, "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| format!("{}: {error}; `cargo build --release -p local` makes it", binary.display()))?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut server = Self {
            url: String::new(),
            dynamodb_url: String::new(),
            process,
            output: BufReader::new(output),
            _data: data,
        };
        server.url = server.line_after("listening on ")?;
        server.dynamodb_url = server.line_after("dynamodb at ")?;
        Ok(server)
    }

    /// What follows `beginning` in the first line of the output that begins so.
    fn line_after(&mut self, beginning: &str) -> Result<String, String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).map_err(|error| error.to_string())? > 0 {
            if let Some(rest) = line.trim().strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
            line.clear();
        }
        Err("the server ended before it was ready".into())
    }

    /// The memory it has in use, where the system says so.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status();
        asked.map_err(|error| error.to_string())?;
        let status = self.process.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}")) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
