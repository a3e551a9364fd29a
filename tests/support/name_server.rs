//! A name server on loopback that knows what a test tells it, says of all else that there is none, and is
//! silent about what it is to be silent about. It notes what it was asked.

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Default)]
struct Zone {
    records: HashMap<(String, RecordType), Vec<(RData, u32)>>,
    /// Ends of names about which there is no answer.
    silent: HashSet<String>,
    asked: Vec<(String, RecordType)>,
}

struct Shared {
    zone: Mutex<Zone>,
    stop: AtomicBool,
}

/// The name server. It stops when it is dropped.
pub struct NameServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// At a free port of loopback.
    pub fn start() -> NameServer {
        NameServer::at((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port")
    }

    pub fn at(address: SocketAddr) -> std::io::Result<NameServer> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let shared = Arc::new(Shared {
            zone: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let address = socket.local_addr()?;
        let of_thread = Arc::clone(&shared);
        Ok(NameServer {
            address,
            shared,
            thread: Some(std::thread::spawn(move || serve(&socket, &of_thread))),
        })
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.shared.zone.lock().expect("the zone")
    }

    /// The name has this address, for so many seconds.
    pub fn knows(&self, name: &str, address: Ipv4Addr, seconds: u32) {
        let record = (RData::A(A(address)), seconds);
        let mut zone = self.zone();
        let records = zone.records.entry((name.to_owned(), RecordType::A));
        records.or_default().push(record);
    }

    /// The service is at this port of a name.
    pub fn has_service(&self, service: &str, priority: u16, port: u16, target: &str) {
        let target = Name::from_ascii(format!("{target}.")).expect("a name");
        let record = (RData::SRV(SRV::new(priority, 1, port, target)), 60);
        let mut zone = self.zone();
        let records = zone.records.entry((service.to_owned(), RecordType::SRV));
        records.or_default().push(record);
    }

    /// From now on there is no answer about names with this end.
    pub fn is_silent_about(&self, end: &str) {
        self.zone().silent.insert(end.to_owned());
    }

    pub fn is_silent_no_more(&self) {
        self.zone().silent.clear();
    }

    /// How often it was asked about names with this end.
    pub fn asked(&self, end: &str) -> usize {
        let zone = self.zone();
        zone.asked
            .iter()
            .filter(|(name, _)| name.ends_with(end))
            .count()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 4096];
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let answer = Message::from_vec(&buffer[..length]).ok();
        let answer = answer.and_then(|question| shared.answer(question));
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer.to_vec().expect("an answer"), from);
        }
    }
}

impl Shared {
    fn answer(&self, mut message: Message) -> Option<Message> {
        let query = message.queries.first()?.clone();
        let name = query.name().to_ascii().to_lowercase();
        let name = name.trim_end_matches('.').to_owned();
        let mut zone = self.zone.lock().expect("the zone");
        zone.asked.push((name.clone(), query.query_type()));
        if zone.silent.iter().any(|end| name.ends_with(end.as_str())) {
            return None;
        }
        message.metadata.message_type = MessageType::Response;
        message.metadata.recursion_available = true;
        message.additionals.clear();
        message.edns = None;
        let exists = zone.records.keys().any(|(known, _)| *known == name);
        let records = zone.records.get(&(name, query.query_type()));
        for (data, seconds) in records.into_iter().flatten() {
            let record = Record::from_rdata(query.name().clone(), *seconds, data.clone());
            message.answers.push(record);
        }
        if !exists {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        Some(message)
    }
}
