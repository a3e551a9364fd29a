//! A PostgreSQL of Debian's in a folder of its own, on a port of its own.

use super::PATIENCE;
use super::built::cimfctl;
use super::certificates::{authority, certificate};
use super::child::{ends_with_the_tests, until, wait};
use super::port::Port;
use cimf::config::{DbUrl, PostgresUrl, Settings};
use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running PostgreSQL. Dropping it ends it.
pub struct Postgres {
    folder: TempDir,
    port: Port,
    /// More options of the server.
    options: Vec<String>,
    /// Whether a commit waits for the disk, as that of a server in use does. Tests do without.
    syncs: bool,
    server: Option<Child>,
}

/// The user of the server, which refuses to run as root, and of the database.
const USER: &str = "postgres";

impl Postgres {
    /// Starts one with an empty database `groups` of the user `cimf`, whose password is `s3cret`.
    pub fn start() -> Self {
        Self::without_data().started()
    }

    /// One whose commits wait for the disk, and those of its standbys too, for measurements.
    pub fn start_with_sync() -> Self {
        let mut postgres = Self::without_data();
        postgres.syncs = true;
        postgres.started()
    }

    fn started(mut self) -> Self {
        let postgres = &mut self;
        postgres.make_data();
        postgres.restart();
        postgres.psql_in("postgres", "CREATE DATABASE groups");
        self
    }

    fn without_data() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("cimf-postgres-")
            .tempdir()
            .expect("a temporary folder");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a mode");
        if let Some((user, group)) = other_user() {
            chown(folder.path(), Some(user), Some(group)).expect("another owner");
        }
        Self {
            folder,
            port: Port::reserve(),
            options: Vec::new(),
            syncs: false,
            server: None,
        }
    }

    fn make_data(&self) {
        let password = self.folder.path().join("password");
        std::fs::write(&password, "s3cret\n").expect("a file for the password");
        let made = self
            .program("initdb")
            .arg("--no-sync")
            .args(["--auth=scram-sha-256", "--username=cimf", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--pwfile"])
            .arg(&password)
            .arg("--pgdata")
            .arg(self.data())
            .output()
            .expect("initdb of Debian's package postgresql-15");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {said}");
    }

    /// Starts one that takes encrypted connections only, with a certificate for `localhost` by an authority of its own.
    pub fn start_with_tls() -> Self {
        let mut postgres = Self::start();
        postgres.kill();
        let folder = postgres.folder.path();
        for name in ["ca", "other"] {
            authority(folder, name);
        }
        certificate(folder, "ca", "server", "DNS:localhost");
        let key = folder.join("server.key");
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("a mode");
        if let Some((user, group)) = other_user() {
            chown(&key, Some(user), Some(group)).expect("another owner");
        }
        let rules = "hostssl all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n";
        std::fs::write(postgres.data().join("pg_hba.conf"), rules).expect("rules");
        for name in ["server.pem", "server.key"] {
            postgres.options.push("-c".to_owned());
            let path = postgres.folder.path().join(name);
            let kind = if name.ends_with("key") { "key" } else { "cert" };
            postgres
                .options
                .push(format!("ssl_{kind}_file={}", path.display()));
        }
        postgres.options.extend(["-c", "ssl=on"].map(str::to_owned));
        postgres.restart();
        postgres
    }

    /// A standby of this server, with the same data, which only reads.
    pub fn standby(&self) -> Self {
        let mut standby = Self::without_data();
        standby.syncs = self.syncs;
        let output = standby
            .program("pg_basebackup")
            .env("PGPASSWORD", "s3cret")
            .args(["-h", "127.0.0.1", "-U", "cimf", "-R", "-c", "fast", "-p"])
            .arg(self.port.number.to_string())
            .arg("-D")
            .arg(standby.data())
            .output()
            .expect("pg_basebackup");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pg_basebackup: {said}");
        standby.restart();
        standby
    }

    /// Waits for a standby with each commit from now on.
    pub fn needs_standby(&self) {
        self.psql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.psql("SELECT pg_reload_conf()");
        let has_one = || {
            let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            (self.psql(sql) == "1").then_some(())
        };
        until(has_one).expect("a synchronous standby");
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        self.psql("SELECT pg_promote()");
    }

    /// The server's main process.
    pub fn process(&self) -> u32 {
        self.server.as_ref().expect("a running server").id()
    }

    /// The folder of all its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file that the server has, such as the certificate of an authority.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The port that it listens at.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// The value of `db_url` that leads here.
    pub fn url(&self) -> String {
        format!(
            "postgres://cimf:s3cret@127.0.0.1:{}/groups",
            self.port.number
        )
    }

    /// The same, as the product reads it.
    pub fn read_url(&self) -> PostgresUrl {
        let mut settings = Settings::new();
        settings.set("db_url", &self.url()).expect("a URL");
        match settings.db_url {
            DbUrl::Postgres(url) => *url,
            DbUrl::Sqlite(path) => panic!("{path:?}"),
        }
    }

    /// Makes the tables of cimf.
    #[track_caller]
    pub fn init(&self) {
        cimfctl(Path::new(&self.url()), &["init"]);
    }

    /// Starts the server again after [`Self::kill`].
    pub fn restart(&mut self) {
        let log = File::create(self.folder.path().join("log")).expect("a log");
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-h", "127.0.0.1", "-p"])
            .arg(self.port.number.to_string())
            .args(["-c", if self.syncs { "fsync=on" } else { "fsync=off" }])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log);
        self.server = Some(command.spawn().expect("a server"));
        let is_up = || self.try_psql("postgres", "SELECT 1").ok();
        until(is_up).unwrap_or_else(|| {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            panic!(
                "no PostgreSQL within {PATIENCE:?}: {}",
                log.unwrap_or_default()
            )
        });
    }

    /// Ends the server at once, as a crash would.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        // SAFETY: a plain system call on a child that was not waited for.
        unsafe { libc::kill(server.id() as libc::pid_t, libc::SIGQUIT) };
        assert!(wait(&mut server, PATIENCE).is_some(), "PostgreSQL goes on");
    }

    /// Runs SQL in the database, each statement by itself; gives its output, one row in each line.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        self.psql_in("groups", sql)
    }

    /// Runs a script in one transaction.
    #[track_caller]
    pub fn psql_at_once(&self, sql: &str) -> String {
        self.psql(&format!("BEGIN; {sql}; COMMIT"))
    }

    /// What pg_dump writes of the database.
    pub fn dump(&self) -> String {
        self.dump_with(&[])
    }

    /// The same, with more options.
    pub fn dump_with(&self, options: &[&str]) -> String {
        let output = self.client("pg_dump").args(options).arg("groups").output();
        let output = output.expect("pg_dump");
        assert!(output.status.success(), "pg_dump: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    #[track_caller]
    fn psql_in(&self, database: &str, sql: &str) -> String {
        match self.try_psql(database, sql) {
            Ok(output) => output,
            Err(said) => panic!("{sql}: {said}"),
        }
    }

    fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let script = self.folder.path().join("script.sql");
        std::fs::write(&script, sql).map_err(|error| error.to_string())?;
        let output = self
            .client("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                database,
                "-f",
            ])
            .arg(&script)
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        command
            .env("PGPASSWORD", "s3cret")
            .args(["-h", "127.0.0.1", "-U", "cimf", "-p"])
            .arg(self.port.number.to_string());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of the server's programs, as a user that may run it.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command.current_dir(self.folder.path());
        ends_with_the_tests(&mut command, libc::SIGQUIT);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where Debian has the programs of the server.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("Debian's postgresql-15");
    let mut folders: Vec<_> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    folders.sort();
    folders.pop().expect("Debian's postgresql-15")
}

/// User and group of [`USER`], if this is root.
fn other_user() -> Option<(u32, u32)> {
    // SAFETY: a plain system call.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).expect("the users");
    let line = users.lines().find(|line| line.starts_with(USER));
    let mut fields = line.expect("the user postgres").split(':').skip(2);
    let mut next = || fields.next().and_then(|field| field.parse().ok());
    Some((next().expect("a user"), next().expect("a group")))
}
