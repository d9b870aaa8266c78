//! Where the server is, and a connection to it, without its password ever in a text.

use std::time::Duration;

use ::redis::{Client, Connection, ErrorKind, RedisError, ServerErrorKind};

/// How long one answer is waited for, connecting included.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Why the server cannot be used. No variant ever holds a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The url is none.
    #[error("{0}")]
    Url(String),
    /// The server is there and does not let us in.
    #[error("{0}")]
    Refused(String),
    /// The server cannot be reached, went away, or answered with an error.
    #[error("{0}")]
    Lost(String),
    /// The server answered something that its protocol does not say.
    #[error("the server answered something unexpected to {0}")]
    Answer(&'static str),
}

impl From<RedisError> for ServerError {
    fn from(error: RedisError) -> ServerError {
        let refused = error.kind() == ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
            || error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm);
        if refused { ServerError::Refused(error.to_string()) } else { ServerError::Lost(error.to_string()) }
    }
}

/// A server's address and credentials. `Debug` and `Display` show the address alone.
#[derive(Clone)]
pub struct Server {
    client: Client,
    address: String,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// The server at `redis://[[user]:password@]host[:port][/database]` or `unix:///path`.
    ///
    /// # Errors
    /// When the url cannot be understood, or asks for TLS.
    pub fn new(url: &str) -> Result<Server, ServerError> {
        if url.starts_with("rediss:") || url.starts_with("valkeys:") {
            return Err(ServerError::Url("TLS to Redis is not built; use redis:// through a tunnel".to_owned()));
        }
        // The crate's own text may quote what it was given.
        let client = Client::open(url).map_err(|_| {
            ServerError::Url("it must read redis://[user:password@]host[:port][/database] or unix:///path".to_owned())
        })?;
        let address = client.get_connection_info().addr().to_string();
        Ok(Server { client, address })
    }

    /// Host and port, or the socket's path.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A connection that has answered a ping; no wait on it is longer than [`PATIENCE`].
    ///
    /// # Errors
    /// When the server cannot be reached in time, or refuses the credentials.
    pub fn connect(&self) -> Result<Connection, ServerError> {
        let mut connection = self.client.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        // Without credentials nothing was asked yet: a server that wants some says so now.
        ::redis::cmd("PING").exec(&mut connection)?;
        Ok(connection)
    }
}

/// Whether a text can be a server's url; the reason never quotes it.
///
/// # Errors
/// The reason.
pub fn check_url(url: &str) -> Result<(), String> {
    Server::new(url).map(|_| ()).map_err(|error| error.to_string())
}

/// A text with whatever stands between `://` and `@` of a url in it taken out.
pub fn without_password(text: &str) -> String {
    let Some((before, rest)) = text.split_once("://") else { return text.to_owned() };
    // The last one: a password may hold an `@` itself.
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{before}://…@{host}"),
        None => text.to_owned(),
    }
}

/// The stream of an instrument's market data.
pub fn stream_key(symbol: &str) -> String {
    format!("stream:lob:{symbol}")
}

/// The instrument as the session file of a journal writes it, in JSON.
pub fn instrument_key(symbol: &str) -> String {
    format!("instrument:{symbol}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_text() {
        let server = Server::new("redis://me:hunter2@127.0.0.1:6390/3").unwrap();
        assert_eq!(server.address(), "127.0.0.1:6390");
        assert!(!format!("{server:?}").contains("hunter2"));
        for url in [
            "http://me:hunter2@host",
            "redis://me:hunter2@host:port",
            "redis://:hunter2@",
            "hunter2",
            "rediss://:hunter2@h",
        ] {
            let error = Server::new(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}: {error}");
        }
        assert_eq!(without_password("redis.url=redis://me:hunter@2@host/1"), "redis.url=redis://…@host/1");
        assert_eq!(without_password("a=http://host/x"), "a=http://host/x");
        assert_eq!(without_password("plain"), "plain");
    }
}
