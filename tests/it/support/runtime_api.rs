//! The runtime API of Lambda, as much of it as one function needs: an event is given, its answer is taken.
//!
//! A runtime client asks `GET …/invocation/next`, works, and posts what came of it to `…/invocation/ID/response` or
//! `…/error`; one that cannot start posts to `…/init/error`. Asked for more events than there are, the endpoint does not
//! answer, as Lambda freezes a function that has nothing to do.
//!
//! From the AWS Lambda Developer Guide, *Using the Lambda runtime API for custom runtimes*.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a runtime client posted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Posted {
    /// The last part of the path: `response`, `error`.
    pub(crate) kind: String,
    /// The invocation, or `init`.
    pub(crate) invocation: String,
    pub(crate) body: String,
}

/// A running endpoint.
pub(crate) struct RuntimeApi {
    /// For `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) address: String,
    posted: Receiver<Posted>,
}

impl RuntimeApi {
    /// Starts one that has these events to give.
    pub(crate) fn start(events: impl IntoIterator<Item = &'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let events: VecDeque<(usize, &'static str)> = events.into_iter().enumerate().collect();
        let events = Arc::new(Mutex::new(events));
        let (sender, posted) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (events, sender) = (Arc::clone(&events), sender.clone());
                std::thread::spawn(move || serve(stream, &events, &sender));
            }
        });
        Self { address, posted }
    }

    /// The next thing that is posted.
    pub(crate) fn posted(&self) -> Posted {
        // Long enough for an interpreter on a busy machine; only a test that fails waits for it.
        self.posted
            .recv_timeout(Duration::from_mins(2))
            .expect("the runtime client answers")
    }
}

/// Answers the requests of one connection until it ends.
fn serve(
    mut stream: TcpStream,
    events: &Mutex<VecDeque<(usize, &'static str)>>,
    posted: &Sender<Posted>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let body = body(&mut reader)?;
        if path.ends_with("/runtime/invocation/next") {
            let event = events.lock().ok()?.pop_front();
            let Some((number, event)) = event else {
                // Until the client is gone.
                drop(reader.read(&mut [0]));
                return None;
            };
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Lambda-Runtime-Aws-Request-Id: request-{number}\r\n\
                 Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:f\r\n\r\n{event}",
                event.len()
            )
            .ok()?;
        } else {
            let mut parts = path.rsplit('/');
            let kind = parts.next()?.to_owned();
            let invocation = parts.next()?.to_owned();
            stream
                .write_all(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":\"OK\"}")
                .ok()?;
            posted
                .send(Posted {
                    kind,
                    invocation,
                    body,
                })
                .ok()?;
        }
    }
}

/// Reads the headers and the body that they announce, of a length or in chunks.
fn body(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let header = read_line(reader)?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        match name {
            "content-length" => length = value.trim().parse().ok()?,
            "transfer-encoding" => is_chunked = value.trim() == "chunked",
            _ => {}
        }
    }
    let mut bytes = Vec::new();
    if is_chunked {
        loop {
            let size = usize::from_str_radix(read_line(reader)?.trim(), 16).ok()?;
            let mut chunk = vec![0; size];
            reader.read_exact(&mut chunk).ok()?;
            read_line(reader)?;
            if size == 0 {
                break;
            }
            bytes.extend(chunk);
        }
    } else {
        bytes.resize(length, 0);
        reader.read_exact(&mut bytes).ok()?;
    }
    String::from_utf8(bytes).ok()
}

fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    Some(line.trim_end().to_owned())
}
