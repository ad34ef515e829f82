//! What the program prints when it is ready, as whoever started it reads it.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// A running server, which ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The one line that says `listening on` names the service; everything answers by then, and where
/// its database is stands on another line.
#[test]
fn one_line_says_listening_on_and_it_names_the_service() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.args(["serve", "--memory", "--port", "0", "--dynamodb-port", "0", "--admin-password", "lantern harbour"]);
    let mut server = Server(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let lines = BufReader::new(server.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    // The administrator comes after both addresses.
    let said: Vec<String> = lines.take_while(|line| !line.contains("administrator")).collect();
    let listening: Vec<&String> = said.iter().filter(|line| line.contains("listening on")).collect();
    let [line] = listening[..] else { panic!("{said:?}") };
    assert_eq!(said.first(), Some(line), "it is what is said first");
    let address = line.strip_prefix("listening on http://").unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    TcpStream::connect(address).unwrap();
    let database = said.iter().find_map(|line| line.strip_prefix("dynamodb at http://")).unwrap();
    assert_ne!(database, address);
    TcpStream::connect(database).unwrap();
}
