//! What the system says about the sockets and the limits of a process.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::Server;

/// A socket of a process, in the form of `/proc/net`: addresses in hexadecimal.
#[derive(Debug)]
pub struct Socket {
    /// Its number in the system.
    inode: u64,
    /// The table that it stands in; `None` for one without an address.
    pub table: Option<&'static str>,
    pub local: String,
    pub remote: String,
    pub is_listening: bool,
}

const TABLES: [&str; 6] = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"];
/// Looks, and the time between two, after which a socket that is in no table is not just one that
/// is being closed: such a one leaves its table a little before the process lets go of it.
const LOOKS: usize = 25;
const BETWEEN: Duration = Duration::from_millis(20);

impl Server {
    /// The sockets that the process had while this was read, where the system says so (Linux).
    pub fn sockets(&self) -> Vec<Socket> {
        let is_known = |socket: &Socket| socket.table.is_some();
        let (mut sockets, mut unknown): (Vec<_>, Vec<_>) =
            self.look().into_iter().partition(is_known);
        for _ in 1..LOOKS {
            if unknown.is_empty() {
                break;
            }
            sleep(BETWEEN);
            let (known, still): (Vec<_>, Vec<_>) = self.look().into_iter().partition(is_known);
            let is_in = |sockets: &[Socket], socket: &Socket| {
                sockets.iter().any(|one| one.inode == socket.inode)
            };
            let more = known.into_iter().filter(|socket| !is_in(&sockets, socket));
            let more: Vec<_> = more.collect();
            sockets.extend(more);
            let still = still.into_iter().filter(|socket| is_in(&unknown, socket));
            unknown = still.collect();
        }
        sockets.extend(unknown);
        sockets
    }

    /// The sockets that the process had during one look.
    fn look(&self) -> Vec<Socket> {
        let before = self.inodes();
        let mut tables = BTreeMap::new();
        for table in TABLES {
            let path = format!("/proc/{}/net/{table}", self.child.id());
            let rows = fs::read_to_string(path).unwrap_or_default();
            for row in rows.lines().skip(1) {
                let columns: Vec<&str> = row.split_whitespace().collect();
                let [local, remote, state] = [1, 2, 3].map(|column| columns[column].to_owned());
                let inode: u64 = columns[9].parse().unwrap();
                let socket = Socket {
                    inode,
                    table: Some(table),
                    local,
                    remote,
                    is_listening: state == "0A",
                };
                tables.insert(inode, socket);
            }
        }
        // One that was opened or closed meanwhile may be in no table.
        let after = self.inodes();
        let held = before.into_iter().filter(|inode| after.contains(inode));
        let sockets = held.map(|inode| {
            tables.remove(&inode).unwrap_or_else(|| Socket {
                inode,
                table: None,
                local: String::new(),
                remote: String::new(),
                is_listening: false,
            })
        });
        sockets.collect()
    }

    /// The sockets of the process itself: those of its standard streams are its parent's.
    fn inodes(&self) -> Vec<u64> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let inodes = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let descriptor: u32 = entry.file_name().to_str()?.parse().ok()?;
            let link = fs::read_link(entry.path()).ok()?;
            let name = link.to_str()?.strip_prefix("socket:[")?;
            let inode = name.strip_suffix(']')?.parse().ok()?;
            (descriptor > 2).then_some(inode)
        });
        inodes.collect()
    }
}
