//! A shop in a temporary folder with a running mirror, for the tests of the appliance.

#![allow(clippy::unwrap_used, dead_code)]

pub mod http;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum wait in a test, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A folder with a catalogue, a configuration and a screen.
pub struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    pub fn empty() -> Self {
        Shop { folder: tempfile::tempdir().unwrap() }
    }

    /// With `shop.db`: the first `count` products of the demo shop.
    pub fn with_products(count: usize) -> Self {
        let shop = Shop::empty();
        shop.import("shop.db", count);
        shop
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Installs a substitute for a program of the machine. Returns a search path that finds it first.
    pub fn program(&self, name: &str, text: &str) -> String {
        fs::create_dir_all(self.path("bin")).unwrap();
        let file = format!("bin/{name}");
        self.write(&file, text);
        fs::set_permissions(self.path(&file), fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:{}", self.path("bin"), std::env::var("PATH").unwrap())
    }

    /// Imports the first `count` products of the demo shop, with the real binary.
    pub fn import(&self, db: &str, count: usize) {
        let feed = fs::read_to_string(repository("demo/feed.csv")).unwrap();
        let rows: Vec<&str> = feed.lines().take(count + 1).collect();
        self.import_feed(db, &rows.join("\n"));
    }

    /// Imports a feed with the demo's pictures, with the real binary.
    pub fn import_feed(&self, db: &str, feed: &str) {
        self.write("feed.csv", feed);
        let output = Command::new(env!("CARGO_BIN_EXE_vetrina"))
            .args([
                "catalogue",
                "import",
                &self.path("feed.csv"),
                "--allow-removals",
                "--db",
                &self.path(db),
                "--images",
            ])
            .arg(repository("demo"))
            .arg("--model")
            .arg(repository("models/compact"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A configuration that plays a clip of the demo, followed by `more`.
    pub fn config(&self, clip: &str, more: &str) -> String {
        self.config_for(&format!("file://{}/{clip}", repository("demo/clips").display()), more)
    }

    /// As [`Shop::config`], with the page enabled; `web` are its settings.
    pub fn config_with_web(&self, clip: &str, web: &str) -> String {
        self.config(clip, "").replace("enabled = false\n", web)
    }

    /// A configuration for any source. Paths are relative to the file. The temperature of the test machine is not read.
    pub fn config_for(&self, source: &str, more: &str) -> String {
        format!(
            "[shop]\nname = \"Test\"\n[camera]\nsource = \"{source}\"\n[screen]\npanel = \"png\"\nfolder = \"screen\"\n\
             width = 480\nheight = 640\nrate = 10\n[catalogue]\nfile = \"shop.db\"\n[heat]\nsysfs = \"sys\"\n[web]\nenabled = false\n{more}"
        )
    }

    /// The latest screen, if there is one.
    pub fn screen(&self) -> Option<image::RgbImage> {
        Some(image::open(self.path("screen/screen.png")).ok()?.into_rgb8())
    }
}

/// A running `vetrina run`. Killed on drop.
pub struct Mirror {
    child: Child,
    log: String,
}

impl Mirror {
    /// Writes `config` to the shop's `vetrina.toml` and starts.
    pub fn start(shop: &Shop, config: &str) -> Self {
        Mirror::start_with(shop, config, &[])
    }

    pub fn start_with(shop: &Shop, config: &str, environment: &[(&str, &str)]) -> Self {
        Mirror::start_after(shop, config, ":", environment)
    }

    /// Runs shell commands before the start, for example to set limits.
    pub fn start_after(shop: &Shop, config: &str, commands: &str, environment: &[(&str, &str)]) -> Self {
        shop.write("vetrina.toml", config);
        let log = shop.path("log");
        let child = Command::new("sh")
            .args(["-c", &format!("{commands} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_vetrina")])
            .args(["run", "--config", &shop.path("vetrina.toml")])
            .envs(environment.iter().copied())
            .env_remove("VETRINA_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Mirror { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Where the log is, for whoever waits for something else.
    pub fn log_path(&self) -> String {
        self.log.clone()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// SIGKILL at once: no other program is started for it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    #[track_caller]
    pub fn wait_for_log(&mut self, words: &str) {
        let path = self.log.clone();
        self.wait_until(&format!("the log says {words:?}"), || fs::read_to_string(&path).unwrap().contains(words));
    }

    /// Polls until the condition holds; the mirror must keep running.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so() {
            assert!(Instant::now() < deadline, "timed out waiting until {what}: {}", self.log());
            assert!(self.is_running() || so(), "it ended before {what}: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The exit code.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the mirror does not end: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
