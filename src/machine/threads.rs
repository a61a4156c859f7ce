//! How long the threads of this process have waited for a CPU.

use super::{entries, word};
use std::path::Path;
use std::time::Duration;

/// A thread of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    pub id: u32,
    pub name: String,
    /// Time it was runnable but waited for a CPU, since its start.
    pub waited: Duration,
}

/// The threads of this process; empty if the kernel does not keep scheduling statistics.
pub fn threads() -> Vec<Thread> {
    entries(Path::new("/proc/self/task"), "").iter().filter_map(|folder| thread(folder)).collect()
}

fn thread(folder: &Path) -> Option<Thread> {
    let id = folder.file_name()?.to_str()?.parse().ok()?;
    // Time on a CPU, time waited for one (nanoseconds), number of time slices.
    let waited = word(&folder.join("schedstat"))?.split_whitespace().nth(1)?.parse().ok()?;
    Some(Thread { id, name: word(&folder.join("comm"))?, waited: Duration::from_nanos(waited) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_thread_is_listed_by_name() {
        let find = || threads().into_iter().find(|thread| thread.name == "by-its-name");
        let inside = std::thread::Builder::new().name("by-its-name".into()).spawn(find).unwrap();
        let found = inside.join().unwrap();
        // Without scheduling statistics there are no threads.
        assert!(found.is_some() || threads().is_empty());
    }

    #[test]
    fn the_second_figure_of_schedstat_is_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let task = folder.path().join("4711");
        std::fs::create_dir(&task).unwrap();
        std::fs::write(task.join("comm"), "frame-0\n").unwrap();
        std::fs::write(task.join("schedstat"), "1852168 47388289 2\n").unwrap();
        let found = thread(&task);
        assert_eq!(found, Some(Thread { id: 4711, name: "frame-0".into(), waited: Duration::from_nanos(47_388_289) }));
        std::fs::write(task.join("schedstat"), "").unwrap();
        assert_eq!(thread(&task), None);
    }
}
