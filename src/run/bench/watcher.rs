//! Whoever looks at an engine while it trades: a scraper once a second and an open dashboard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often Prometheus is commonly told to scrape what is looked at closely.
const SCRAPE_EVERY: Duration = Duration::from_secs(1);
/// How often the dashboard's page asks.
const PAGE_EVERY: Duration = Duration::from_millis(500);
/// How soon an end is noticed.
const NAP: Duration = Duration::from_millis(20);

/// A thread that asks an engine's server for `/metrics` and for what its page shows.
#[derive(Debug)]
pub struct Watcher {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Watcher {
    /// Begins to look at the server on that port of 127.0.0.1, as soon as it answers, from a thread on `core`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(port: u16, core: usize) -> std::io::Result<Watcher> {
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let thread = std::thread::Builder::new().name("watcher".to_owned()).spawn(move || {
            core_affinity::set_for_current(core_affinity::CoreId { id: core });
            watch(port, &told)
        })?;
        Ok(Watcher { ends, thread })
    }

    /// Stops looking, and says how many answers were whole.
    pub fn end(self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn watch(port: u16, ends: &AtomicBool) -> u64 {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build(),
    );
    let mut views = [("metrics", SCRAPE_EVERY), ("api/state", PAGE_EVERY)]
        .map(|(path, every)| (format!("http://127.0.0.1:{port}/{path}"), every, Instant::now()));
    let mut answers = 0;
    while !ends.load(Ordering::Relaxed) {
        for (url, every, due) in &mut views {
            if *due <= Instant::now() {
                *due = Instant::now() + *every;
                let text = agent.get(url.as_str()).call().and_then(|mut answer| answer.body_mut().read_to_string());
                answers += u64::from(text.is_ok_and(|text| !text.is_empty()));
            }
        }
        std::thread::sleep(NAP);
    }
    answers
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_watcher_asks_for_both_views_and_counts_what_was_answered() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let watcher = Watcher::start(port, crate::topology::cores_at_hand(&[])[0]).unwrap();
        let mut asked = Vec::new();
        for _ in 0..2 {
            let (mut socket, _) = server.accept().unwrap();
            let mut request = [0; 1024];
            let read = socket.read(&mut request).unwrap();
            asked.push(String::from_utf8_lossy(&request[..read]).lines().next().unwrap_or_default().to_owned());
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").unwrap();
        }
        assert_eq!(asked, ["GET /metrics HTTP/1.1", "GET /api/state HTTP/1.1"]);
        drop(server);
        assert_eq!(watcher.end(), 2, "what nobody answers is not counted");
    }
}
