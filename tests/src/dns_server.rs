//! A name server that answers by script, over UDP (RFC 1035), and remembers what it was asked.

use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;

/// A question: the name in lower case without its final dot, and the type.
pub type Question = (String, Type);

/// Types of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Services.
    Srv,
    /// Any other.
    Other(u16),
}

/// One record of an answer; its owner is the name that was asked for unless `owner` says otherwise.
#[derive(Debug, Clone)]
pub struct Record {
    owner: Option<String>,
    ttl: u32,
    data: Data,
}

#[derive(Debug, Clone)]
enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Cname(String),
}

impl Record {
    /// An A or AAAA record.
    #[must_use]
    pub fn address(ip: &str, ttl: u32) -> Self {
        let data = match ip.parse().unwrap() {
            IpAddr::V4(ip) => Data::A(ip),
            IpAddr::V6(ip) => Data::Aaaa(ip),
        };
        Self {
            owner: None,
            ttl,
            data,
        }
    }

    /// An SRV record with a TTL of 60 seconds.
    #[must_use]
    pub fn service(priority: u16, weight: u16, port: u16, target: &str) -> Self {
        let data = Data::Srv {
            priority,
            weight,
            port,
            target: target.to_owned(),
        };
        Self {
            owner: None,
            ttl: 60,
            data,
        }
    }

    /// A CNAME record with a TTL of 60 seconds.
    #[must_use]
    pub fn alias(target: &str) -> Self {
        Self {
            owner: None,
            ttl: 60,
            data: Data::Cname(target.to_owned()),
        }
    }

    /// Gives the record another owner.
    #[must_use]
    pub fn of(mut self, owner: &str) -> Self {
        self.owner = Some(owner.to_owned());
        self
    }
}

/// What the server does with a question.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These records; none means that the name exists without such a record.
    Records(Vec<Record>),
    /// There is no such name.
    NoSuchName,
    /// The server failed (SERVFAIL).
    Failure,
    /// Nothing is sent.
    Silence,
    /// The reply after a while.
    After(Duration, Box<Self>),
}

/// The server; it ends when it is dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Question>>>,
    task: tokio::task::JoinHandle<()>,
}

impl DnsServer {
    /// Answers each question by `script`.
    pub async fn start(script: impl Fn(&str, Type) -> Reply + Send + Sync + 'static) -> Self {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            loop {
                let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
                    continue;
                };
                let query = buffer[..length].to_vec();
                let (name, kind) = question(&query);
                seen.lock().push((name.clone(), kind));
                let reply = script(&name, kind);
                let socket = Arc::clone(&socket);
                tokio::spawn(async move { answer(&socket, peer, &query, reply).await });
            }
        });
        Self { address, asked, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All questions so far, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().clone()
    }

    /// How often a name was asked for, with any type.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.asked
            .lock()
            .iter()
            .filter(|(asked, _)| asked == name)
            .count()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(socket: &UdpSocket, peer: SocketAddr, query: &[u8], mut reply: Reply) {
    while let Reply::After(time, later) = reply {
        tokio::time::sleep(time).await;
        reply = *later;
    }
    let (code, records) = match reply {
        Reply::Records(records) => (0, records),
        Reply::NoSuchName => (3, Vec::new()),
        Reply::Failure => (2, Vec::new()),
        Reply::Silence | Reply::After(..) => return,
    };
    let (name, _) = question(query);
    let end = question_end(query);
    // The same id, a response that recursion was available for, one question.
    let mut message = query[..2].to_vec();
    message.extend([0x81, 0x80 | code, 0, 1]);
    message.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    message.extend([0; 4]);
    message.extend(&query[12..end]);
    for record in records {
        encode_name(&mut message, record.owner.as_deref().unwrap_or(&name));
        let (kind, data) = data(&record.data);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(record.ttl.to_be_bytes());
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
    }
    let _ = socket.send_to(&message, peer).await;
}

fn data(data: &Data) -> (u16, Vec<u8>) {
    match data {
        Data::A(ip) => (1, ip.octets().to_vec()),
        Data::Aaaa(ip) => (28, ip.octets().to_vec()),
        Data::Cname(target) => {
            let mut out = Vec::new();
            encode_name(&mut out, target);
            (5, out)
        }
        Data::Srv {
            priority,
            weight,
            port,
            target,
        } => {
            let mut out: Vec<u8> = [priority, weight, port]
                .into_iter()
                .flat_map(|number| number.to_be_bytes())
                .collect();
            encode_name(&mut out, target);
            (33, out)
        }
    }
}

fn encode_name(out: &mut Vec<u8>, name: &str) {
    for label in name
        .trim_end_matches('.')
        .split('.')
        .filter(|label| !label.is_empty())
    {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
}

/// Where the only question of a query ends.
fn question_end(query: &[u8]) -> usize {
    let mut at = 12;
    while query[at] != 0 {
        at += usize::from(query[at]) + 1;
    }
    at + 5
}

fn question(query: &[u8]) -> Question {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    let kind = match u16::from_be_bytes([query[at + 1], query[at + 2]]) {
        1 => Type::A,
        28 => Type::Aaaa,
        33 => Type::Srv,
        other => Type::Other(other),
    };
    (labels.join("."), kind)
}
