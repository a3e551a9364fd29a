//! Nodes that reach PostgreSQL through a pooler: Debian's pgbouncer, with a connection for each session.

use crate::nodes::{hikers, node_at};
use crate::promises::{
    CREW, MEMBERS, all_have_one, crew, has_a_lease, nothing_is_left, parameters, sends, to_crew,
};
use crate::support::built::cimfctl;
use crate::support::child::{end, ends_with_the_tests};
use crate::support::core::Answer;
use crate::support::port::Port;
use crate::support::postgres::Postgres;
use crate::support::rig::{Rig, until};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running pgbouncer. Dropping it ends it.
struct Pooler {
    port: Port,
    process: Child,
}

impl Pooler {
    fn start(postgres: &Postgres) -> Self {
        let port = Port::reserve();
        let users = postgres.folder().join("users.txt");
        std::fs::write(&users, "\"cimf\" \"s3cret\"\n").expect("a file of users");
        let settings = postgres.folder().join("pgbouncer.ini");
        let text = format!(
            "[databases]\ngroups = host=127.0.0.1 port={} dbname=groups\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {}\npool_mode = session\ndefault_pool_size = 20\nuser = postgres\n",
            postgres.port(),
            port.number,
            users.display()
        );
        std::fs::write(&settings, text).expect("a file of settings");
        let mut command = Command::new("/usr/sbin/pgbouncer");
        command.arg("--quiet").arg(settings).stdin(Stdio::null());
        ends_with_the_tests(&mut command, libc::SIGTERM);
        let process = command.spawn().expect("Debian's pgbouncer");
        Self { port, process }
    }

    fn url(&self) -> String {
        format!(
            "postgres://cimf:s3cret@127.0.0.1:{}/groups",
            self.port.number
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn start(pooler: &Pooler, name: &str) -> Rig {
    let rig = node_at(&pooler.url(), &parameters(name, "")).start_on_what_is_there();
    has_a_lease(&rig);
    rig
}

#[test]
fn nodes_share_groups_and_promises_through_a_pooler() {
    let postgres = Postgres::start();
    let pooler = Pooler::start(&postgres);
    let url = pooler.url();
    until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, pooler.port.number)).ok())
        .expect("pgbouncer");
    cimfctl(Path::new(&url), &["init"]);
    hikers(&postgres);
    crew(&postgres, MEMBERS);
    let (mut lost, other) = (start(&pooler, "a"), start(&pooler, "b"));
    for number in 10..MEMBERS {
        lost.core.answer(&format!("m{number}@"), Answer::Held);
    }
    sends(&mut lost.client(), to_crew);
    lost.wait_for_counter("forks_delivered", 10);
    lost.kill();
    other.core.wait_for(MEMBERS - 10);
    all_have_one(&[&lost, &other], MEMBERS);
    nothing_is_left(&postgres);
    // A change of groups counts there too.
    cimfctl(
        Path::new(&url),
        &["member", "del", CREW, "sip:m0@home1.net"],
    );
    let mut client = other.client();
    let has_left = || {
        let before = other.core.count();
        sends(&mut client, to_crew);
        other.core.wait_for(before + MEMBERS - 1);
        let forks = other.core.forks();
        let forks = &forks[before..];
        forks
            .iter()
            .all(|fork| !fork.message.request_uri().contains("m0@"))
            .then_some(())
    };
    until(has_left).expect("a change");
}
