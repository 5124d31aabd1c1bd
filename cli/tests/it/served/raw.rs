//! Bytes on one connection, all answers that come back on it, and the routes of the server.

use std::io::{Read, Write};
use std::thread::scope;

use super::{Answer, Server};

/// A route, as the description of the API names it.
pub struct ServedRoute {
    /// The path of the description.
    pub name: String,
    /// A path of the route in the shop.
    pub path: String,
    /// The methods that it has.
    pub methods: Vec<String>,
    /// Whether it asks for no token.
    pub is_public: bool,
}

impl ServedRoute {
    /// The status of a request for its path in the shop, on a server that has no model.
    pub fn status(&self, method: &str) -> u16 {
        match &*self.name {
            _ if !self.methods.iter().any(|one| one == method) => 405,
            name if name.ends_with("/encode") => 400,
            // The path lacks the id of a document, and the beginning of a query.
            name if name.ends_with("/explain") || name.ends_with("/suggest") => 400,
            _ => 200,
        }
    }
}

impl Server {
    /// Sends bytes on a connection of its own, and reads until the server closes it.
    pub fn exchange(&self, bytes: &[u8]) -> Vec<Answer> {
        let mut stream = self.connect();
        // The server may answer, and close, before it has read everything.
        let _ = stream.write_all(bytes);
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        Answer::all(&received)
    }

    /// The routes of the description, of which a test of the router says that it has all of them.
    pub fn routes(&self, headers: &str) -> Vec<ServedRoute> {
        let description = self.request("GET", "/api/openapi.json", headers, None);
        let description = description.done();
        let paths = description["paths"].as_object().unwrap().iter();
        let routes = paths.map(|(name, item)| {
            let methods = item.as_object().unwrap().keys();
            let methods = methods.filter(|key| *key != "parameters");
            let mut methods: Vec<String> = methods.map(|key| key.to_uppercase()).collect();
            methods.push("HEAD".to_owned());
            let path = name.replace("{name}", "shop").replace("{id}", "cup");
            ServedRoute {
                is_public: item["get"].get("security").is_some(),
                path: match path.ends_with("/search") || path.ends_with("/explain") {
                    true => format!("{path}?q=tea"),
                    false => path,
                },
                name: name.clone(),
                methods,
            }
        });
        routes.collect()
    }
}

impl Answer {
    /// All answers of a connection, in order.
    pub fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut answers = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            let end = end.map_or(bytes.len(), |end| end + 4);
            let (head, rest) = bytes.split_at(end);
            let head = String::from_utf8(head.to_vec()).unwrap();
            let status = head.split(' ').nth(1);
            let status = status.and_then(|status| status.parse().ok());
            let head = head.trim_end().to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            // The answer to HEAD has a length and no body.
            let length = match rest.starts_with(b"HTTP/1.") {
                true => 0,
                false => length.min(rest.len()),
            };
            let (body, rest) = rest.split_at(length);
            answers.push(Self {
                status: status.unwrap_or(0),
                head,
                body: String::from_utf8(body.to_vec()).unwrap(),
            });
            bytes = rest;
        }
        answers
    }

    /// The values of a header, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1);
        let fields = lines.filter_map(|line| line.split_once(": ").or(line.split_once(':')));
        let fields = fields.filter(|(field, _)| *field == name);
        fields.map(|(_, value)| value).collect()
    }
}

/// Does something with each of many cases, with several threads, because most of them only wait.
pub fn for_each<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    const THREADS: usize = 16;
    let check = &check;
    scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(THREADS).max(1)) {
            scope.spawn(move || part.iter().for_each(check));
        }
    });
}
