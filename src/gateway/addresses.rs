//! The venue's addresses, looked up once and kept.
//!
//! The HTTP library resolves its host before every request, pooled connection or not: for a name that is a new thread and
//! a question to the network in front of every order. Addresses are kept here until a connection to them fails.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// A resolver that asks another one when it must. One venue, one host: it keeps a single answer.
#[derive(Debug)]
pub struct KeptAddresses<R> {
    inner: R,
    kept: Mutex<Option<(String, Vec<SocketAddr>)>>,
    failed: Arc<AtomicBool>,
}

impl<R> KeptAddresses<R> {
    /// Nothing kept yet. Whoever connects sets `failed` when the addresses are of no use.
    pub fn new(inner: R, failed: Arc<AtomicBool>) -> KeptAddresses<R> {
        KeptAddresses { inner, kept: Mutex::new(None), failed }
    }
}

impl<R: Resolver> Resolver for KeptAddresses<R> {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if self.failed.swap(false, Ordering::Relaxed) {
            *kept = None;
        }
        if let Some((of, addresses)) = &*kept
            && of == host
        {
            let mut all = self.empty();
            addresses.iter().for_each(|address| all.push(*address));
            return Ok(all);
        }
        let all = self.inner.resolve(uri, config, timeout)?;
        *kept = Some((host.to_owned(), all.to_vec()));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Debug, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl Resolver for Counting {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            let mut all = self.empty();
            all.push(SocketAddr::from(([127, 0, 0, 1], 1 + asked as u16)));
            Ok(all)
        }
    }

    #[test]
    fn a_name_is_looked_up_once_until_its_addresses_fail() {
        let (asked, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let resolver = KeptAddresses::new(Counting(Arc::clone(&asked)), Arc::clone(&failed));
        let port = |host: &'static str| {
            let all = resolver.resolve(&Uri::from_static(host), &Config::default(), NextTimeout::default()).unwrap();
            (all.len(), all[0].port())
        };
        assert_eq!([port("http://a:1/x"), port("http://a:1/y")], [(1, 1), (1, 1)]);
        failed.store(true, Ordering::Relaxed);
        assert_eq!([port("http://a:1/x"), port("http://a:1/x")], [(1, 2), (1, 2)]);
        assert_eq!(port("http://b:1/x"), (1, 3));
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
