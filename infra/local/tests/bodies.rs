//! Bodies that no route takes, from clients that read nothing before they have sent everything.

use std::io::{BufRead, BufReader, Read, Write};
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

#[test]
fn whoever_sends_too_much_reads_why_it_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.args(["serve", "--memory", "--port", "0", "--admin-password", "lantern harbour"]);
    let mut server = Server(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let address = first.strip_prefix("listening on http://").unwrap();
    let send = |target: &str, framing: &str, body: &[u8]| {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("{target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close");
        write!(stream, "{head}\r\n{framing}\r\n\r\n").unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let cases = [
        ("POST /auth/login", 1, "413 Payload Too Large", "payload_too_large"),
        ("POST /auth/login", 5, "413 Payload Too Large", "payload_too_large"),
        ("POST /auth/login", 12, "413 Payload Too Large", "payload_too_large"),
        ("POST /auth/login", 40, "413 Payload Too Large", "payload_too_large"),
        ("POST /v1/customers", 5, "401 Unauthorized", "unauthorized"),
        ("POST /nowhere", 5, "404 Not Found", "not_found"),
    ];
    for (target, mib, status, code) in cases {
        let body = vec![b'a'; mib * 1_024 * 1_024];
        let length = format!("Content-Length: {}", body.len());
        let declared = send(target, &length, &body);
        let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        for answer in [declared, send(target, "Transfer-Encoding: chunked", &chunk)] {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{target}, {mib} MiB: {answer}");
            assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{target}, {mib} MiB: {answer}");
            assert!(answer.contains("application/problem+json"), "{target}, {mib} MiB: {answer}");
        }
    }
    let small = send("POST /auth/login", "Content-Length: 2", b"{}");
    assert!(small.starts_with("HTTP/1.1 400 Bad Request\r\n") && small.contains("invalid_request"), "{small}");
}
