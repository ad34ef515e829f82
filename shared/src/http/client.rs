//! What the platform knows of a request: its id and where it came from.

use std::net::IpAddr;

use crate::token::KeyRing;

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of a request, put into its extensions by whoever received it.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The address of the client, from the request context and never from a header that it sets.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The network that is counted as one client: an IPv6 subscriber holds a whole /64.
    #[must_use]
    pub fn network(self) -> String {
        match self.0.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }

    /// The network as it is kept at rest: a keyed hash.
    #[must_use]
    pub fn hash(self, keys: &KeyRing) -> String {
        hex::encode(&keys.mac("client-address", &[self.network().as_bytes()])[..12])
    }
}

/// Runs `future` as the request `id`.
pub(super) async fn with_request_id<F: Future>(id: String, future: F) -> F::Output {
    REQUEST_ID.scope(id, future).await
}

/// The id of the request that is being served.
pub(super) fn request_id() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> String {
        ClientAddress(text.parse().unwrap()).network()
    }

    #[test]
    fn a_subscriber_is_one_client() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
