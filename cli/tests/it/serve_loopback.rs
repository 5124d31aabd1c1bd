//! Nothing leaves the machine: where `esparsa serve` listens, and that it connects to nothing.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;

use crate::served::{Server, shop};

const TOKEN: &str = "--token 0123456789abcdef";

#[test]
fn other_addresses_than_loopback_need_a_token() {
    let scratch = shop();
    let refused = |arguments: &str, token| Server::refused(&scratch, arguments, token);
    for address in [
        "0.0.0.0:0",
        "[::]:0",
        "[::ffff:127.0.0.1]:0",
        "[::ffff:0.0.0.0]:0",
        "192.0.2.1:0",
        "169.254.1.1:0",
        "10.0.0.1:0",
        "128.0.0.1:0",
        "[fe80::1]:0",
        "[2001:db8::1]:0",
        "255.255.255.255:0",
    ] {
        let message = refused(&format!("--index shop --listen {address}"), None).failed();
        assert!(message.contains("expected a token"), "{address}: {message}");
    }
    // Names are no addresses: what they resolve to may change.
    for name in ["localhost:0", "example.org:0", "127.0.0.1", ":0", "*:0"] {
        let ran = refused(&format!("--index shop --listen {name}"), None);
        assert_eq!(ran.code, Some(2), "{name}");
    }
    // A variable that is empty is no token.
    refused("--index shop --listen 0.0.0.0:0", Some("")).failed();
}

#[test]
fn it_listens_on_the_address_that_it_is_given() {
    let scratch = shop();
    let of = |address: &str, token: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
        command.args(["serve", "--index", "shop", "--listen", address]);
        command.args(token.split_whitespace());
        Server::of(command, &scratch)
    };
    let server = of("0.0.0.0:0", TOKEN).unwrap_or_else(|line| panic!("no address in `{line}`"));
    assert_eq!(server.address.ip().to_string(), "0.0.0.0");
    // Not every system has more than one address of the loopback interface.
    if let Ok(server) = of("127.0.0.2:0", "") {
        assert_eq!(server.address.ip().to_string(), "127.0.0.2");
    }
}

#[test]
fn without_an_address_it_listens_on_the_loopback_interface_only() {
    let scratch = shop();
    let mut command = Command::new(env!("CARGO_BIN_EXE_esparsa"));
    command.args(["serve", "--index", "shop"]);
    let errors = scratch.write("errors", "");
    command.stderr(File::create(&errors).unwrap());
    let Ok(server) = Server::of(command, &scratch) else {
        // Another program has the port; the message says where this one wanted to listen.
        let message = std::fs::read_to_string(errors).unwrap();
        assert!(message.contains("127.0.0.1:7700"), "{message}");
        return;
    };
    assert_eq!(server.address.to_string(), "127.0.0.1:7700");
    server.get("/health").done();
    if cfg!(target_os = "linux") {
        let sockets = server.sockets();
        let listening: Vec<_> = sockets.iter().filter(|one| one.is_listening).collect();
        // 127.0.0.1 and 7700, as the system writes them.
        let addresses: Vec<&str> = listening.iter().map(|one| &*one.local).collect();
        assert_eq!(addresses, ["0100007F:1E14"], "{sockets:?}");
        assert_eq!(listening[0].table, Some("tcp"));
    }
}

/// Every socket of the process is the one that it listens on, or the near end of a connection to it.
#[cfg(target_os = "linux")]
#[test]
fn it_connects_to_nothing_while_it_serves() {
    let scratch = shop();
    let server = Server::start(&scratch, "--index shop --reload-ms 5");
    let own = format!("0100007F:{:04X}", server.address.port());
    let looks = AtomicUsize::new(0);
    let is_enough = || looks.load(Ordering::Relaxed) >= 8;
    let look = || {
        while !is_enough() {
            for socket in server.sockets() {
                assert_eq!(socket.table, Some("tcp"), "{socket:?}");
                assert_eq!(socket.local, own, "{socket:?}");
                let is_near = socket.remote.starts_with("0100007F:");
                assert!(is_near || socket.is_listening, "{socket:?}");
            }
            looks.fetch_add(1, Ordering::Relaxed);
        }
    };
    scope(|scope| {
        let looking = scope.spawn(look);
        while !is_enough() && !looking.is_finished() {
            for route in server.routes("") {
                for method in ["GET", "HEAD", "POST", "OPTIONS"] {
                    server.request(method, &route.path, "", None);
                }
            }
            for url in ["http://192.0.2.1/x", "http://example.org/api/indexes"] {
                server.get(url);
                server.get(&format!("/api/indexes/shop/search?q={url}&system=sparse"));
                server.request("CONNECT", "192.0.2.1:80", "", None);
            }
        }
        looking.join().unwrap();
    });
}
