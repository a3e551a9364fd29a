//! The process that resolves the names of next hops, the same in every proxy: the only one that waits
//! for name servers. It runs many lookups concurrently, one for each name.

#![forbid(unsafe_code)]

use crate::fanout::{Engine, NotResolved, OwnProcess, Question};
use crate::server::{Families, HopName, Led, Resolver, Server};
use crate::sip::text::Printable;
use std::convert::Infallible;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// The most names that are resolved concurrently for the first time.
const NEW: usize = 192;
const NEW_PATIENCE: Duration = Duration::from_secs(2);
/// The most of those for copies of one originator.
const NEW_OF_ONE: usize = 128;
/// The most names that are retried concurrently after a failure; separate from new names, which are
/// more likely to resolve. Each takes up to three descriptors, of which a process may have a thousand.
const AGAIN: usize = 96;
const AGAIN_PATIENCE: Duration = Duration::from_secs(10);
/// Hash buckets of originators.
const ORIGINATORS: usize = 256;
/// How often the process looks for questions without having been woken: the process that asked may have
/// died.
const LOOK: Duration = Duration::from_secs(1);
/// How often it checks whether the system's name servers have changed.
const SYSTEM_LOOK: Duration = Duration::from_secs(5);
/// The system's configuration of name resolution.
const SYSTEM_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
/// The most log lines about names per second.
const LINES_A_SECOND: u32 = 5;

/// Runs the process; returns only with an error.
pub fn work(server: &'static Server, families: Families) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let worked = runtime.and_then(|runtime| runtime.block_on(ask_all(server, families)));
    match worked {
        Ok(never) => match never {},
        Err(error) => error.to_string(),
    }
}

/// The state shared by all lookups.
struct Asking {
    server: &'static Server,
    families: Families,
    new: Semaphore,
    new_of_one: Vec<Semaphore>,
    again: Semaphore,
    resolver: Mutex<Current>,
    lines: Mutex<(Instant, u32)>,
}

/// The resolver, and the system's configuration when it was created.
struct Current {
    resolver: Option<Resolver>,
    files: [Option<SystemTime>; 2],
    looked_at: Instant,
}

async fn ask_all(server: &'static Server, families: Families) -> std::io::Result<Infallible> {
    let engine = server.outbox().engine();
    let questions = UnixDatagram::from(engine.questions().try_clone_to_owned()?);
    questions.set_nonblocking(true)?;
    let questions = tokio::net::UnixDatagram::from_std(questions)?;
    let asking = Arc::new(Asking {
        server,
        families,
        new: Semaphore::new(NEW),
        new_of_one: (0..ORIGINATORS)
            .map(|_| Semaphore::new(NEW_OF_ONE))
            .collect(),
        again: Semaphore::new(AGAIN),
        resolver: Mutex::new(Current {
            resolver: None,
            files: [None; 2],
            looked_at: Instant::now(),
        }),
        lines: Mutex::new((Instant::now(), 0)),
    });
    loop {
        let counters = server.decider().counters();
        counters.note_processor_time(OwnProcess::Names);
        // One pass over the questions handles all wake-ups so far.
        while questions.try_recv(&mut [0; 1]).is_ok() {}
        while let Some(question) = engine.next_question() {
            let asking = Arc::clone(&asking);
            tokio::spawn(async move { asking.settle(&question).await });
        }
        if let Ok(readable) = timeout(LOOK, questions.readable()).await {
            readable?;
        }
    }
}

impl Asking {
    /// Retries until there is an answer, or nobody waits for it any more.
    async fn settle(&self, question: &Question) {
        let engine = self.server.outbox().engine();
        let mut not_before = question.not_before();
        let mut is_new = not_before == 0;
        loop {
            sleep(until(engine, not_before)).await;
            let led = match is_new {
                true => self.ask(question).await,
                false => self.ask_again(question).await,
            };
            let failure = match led {
                Ok(led) => {
                    let (addresses, time) = (&led.addresses, led.time_to_live);
                    return engine.name_leads(question, addresses, time, engine.now());
                }
                Err(failure) => failure,
            };
            self.log(question.name(), failure);
            match engine.name_fails(question, failure, engine.now()) {
                Some(again) => (not_before, is_new) = (again, false),
                None => return,
            }
        }
    }

    async fn ask(&self, question: &Question) -> Result<Led, NotResolved> {
        let of_one = &self.new_of_one[question.owner() as usize % ORIGINATORS];
        let places = (of_one.acquire().await, self.new.acquire().await);
        let led = timeout(NEW_PATIENCE, self.resolve(question.name())).await;
        drop(places);
        led.unwrap_or(Err(NotResolved::NoAnswer))
    }

    async fn ask_again(&self, question: &Question) -> Result<Led, NotResolved> {
        let place = self.again.acquire().await;
        let led = timeout(AGAIN_PATIENCE, self.resolve(question.name())).await;
        drop(place);
        led.unwrap_or(Err(NotResolved::NoAnswer))
    }

    async fn resolve(&self, name: &[u8]) -> Result<Led, NotResolved> {
        let name = std::str::from_utf8(name).ok().and_then(HopName::read);
        let name = name.ok_or(NotResolved::LeadsNowhere)?;
        let resolver = self.current().ok_or(NotResolved::NoAnswer)?;
        resolver.resolve(&name).await
    }

    /// The resolver, recreated if the system's configuration has changed.
    fn current(&self) -> Option<Resolver> {
        let mut current = self.resolver.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = current.resolver.is_none();
        if is_new || current.looked_at.elapsed() >= SYSTEM_LOOK {
            current.looked_at = Instant::now();
            let changed = |path| fs::metadata(path).and_then(|file| file.modified()).ok();
            let files = SYSTEM_FILES.map(changed);
            if is_new || files != current.files {
                current.files = files;
                match Resolver::new(self.server.next_hops().name_servers(), self.families) {
                    Ok(resolver) => current.resolver = Some(resolver),
                    Err(error) => log::error!("names cannot be resolved: {error}"),
                }
            }
        }
        current.resolver.clone()
    }

    /// Logs a name that could not be resolved.
    fn log(&self, name: &[u8], failure: NotResolved) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.0.elapsed() >= Duration::from_secs(1) {
            *lines = (Instant::now(), 0);
        }
        lines.1 += 1;
        if lines.1 <= LINES_A_SECOND {
            let why = match failure {
                NotResolved::LeadsNowhere => "the name servers know no address of it",
                NotResolved::NoAnswer => "no name server has answered",
            };
            let text = std::str::from_utf8(name).ok().and_then(HopName::read);
            let host = text.map_or(name, |name| name.host.as_bytes());
            log::warn!(
                "the next hop {} cannot be resolved: {why}; it is asked again for the copies that wait",
                Printable(host)
            );
        }
    }
}

/// The duration until `time` (milliseconds of the engine's clock).
fn until(engine: &Engine, time: u64) -> Duration {
    Duration::from_millis(time.saturating_sub(engine.now()))
}
