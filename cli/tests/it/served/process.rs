//! What the system says about the sockets and the limits of a process.

use std::collections::BTreeMap;
use std::fs;

use super::Server;

/// A socket of a process, in the form of `/proc/net`: addresses in hexadecimal.
#[derive(Debug)]
pub struct Socket {
    /// The table that it stands in; `None` for one without an address.
    pub table: Option<&'static str>,
    pub local: String,
    pub remote: String,
    pub is_listening: bool,
}

const TABLES: [&str; 6] = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"];

impl Server {
    /// The sockets that the process had while this was read, where the system says so (Linux).
    pub fn sockets(&self) -> Vec<Socket> {
        let before = self.inodes();
        let mut tables = BTreeMap::new();
        for table in TABLES {
            let path = format!("/proc/{}/net/{table}", self.child.id());
            let rows = fs::read_to_string(path).unwrap_or_default();
            for row in rows.lines().skip(1) {
                let columns: Vec<&str> = row.split_whitespace().collect();
                let [local, remote, state] = [1, 2, 3].map(|column| columns[column].to_owned());
                let inode: u64 = columns[9].parse().unwrap();
                tables.insert(inode, (table, local, remote, state == "0A"));
            }
        }
        // One that was opened or closed meanwhile may be in no table.
        let after = self.inodes();
        let held = before.into_iter().filter(|inode| after.contains(inode));
        let sockets = held.map(|inode| match tables.remove(&inode) {
            Some((table, local, remote, is_listening)) => Socket {
                table: Some(table),
                local,
                remote,
                is_listening,
            },
            None => Socket {
                table: None,
                local: String::new(),
                remote: String::new(),
                is_listening: false,
            },
        });
        sockets.collect()
    }

    fn inodes(&self) -> Vec<u64> {
        let folder = format!("/proc/{}/fd", self.child.id());
        let Ok(entries) = fs::read_dir(folder) else {
            return Vec::new();
        };
        let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let inodes = links.filter_map(|link| {
            let name = link.to_str()?.strip_prefix("socket:[")?;
            name.strip_suffix(']')?.parse().ok()
        });
        inodes.collect()
    }
}
