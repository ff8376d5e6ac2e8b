//! Reads the status pages of the configuration in force: one loop for each page, none without.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::target::Provider;
use crate::ground::config::Config;
use crate::intake::status_page::{self, BELIEVED_POLLS, Client, LastAsked, Listener, Watcher};
use crate::store::WatchedPage;

use super::parts::Parts;

/// The pages that the store is to keep in mind.
pub(super) fn watched(config: &Config) -> BTreeMap<Provider, WatchedPage> {
    let believed_for = config.status_pages.every * BELIEVED_POLLS;
    let page = |(name, url): (&Provider, &String)| {
        (name.clone(), WatchedPage { url: url.clone(), believed_for })
    };
    pages(config).map(page).collect()
}

fn pages(config: &Config) -> impl Iterator<Item = (&Provider, &String)> {
    let providers = config.providers.iter();
    providers.filter_map(|(name, provider)| Some((name, provider.status_page.as_ref()?)))
}

/// Reads pages until shutdown, following the configuration as it is replaced.
pub(super) async fn keep(parts: Parts, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut reading = Reading::new(&parts, shutdown.clone());
    loop {
        reading.follow(&parts.config.load_full());
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = parts.adopted.notified() => {}
            failed = reading.failed() => return Err(failed),
        }
    }
    while reading.loops.join_next().await.is_some() {}
    Ok(())
}

/// Running loops. A page that a new configuration still names is read on undisturbed, and one that
/// was dropped and is named again waits for its interval, so that reloads cannot make readings more
/// frequent.
struct Reading {
    /// Made for the first page: without one, nothing of the network is touched.
    client: Option<Client>,
    listener: Listener,
    every: watch::Sender<Duration>,
    last_asked: LastAsked,
    running: BTreeMap<String, CancellationToken>,
    loops: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Reading {
    fn new(parts: &Parts, shutdown: CancellationToken) -> Self {
        let (store, clock) = (parts.store.clone(), parts.clock.clone());
        let listener: Listener = Arc::new(move |url, reading| {
            let (now, reading) = (clock.now(), reading.map(Arc::new));
            store.note_status_page(url, |view| {
                view.failing = reading.is_none();
                if reading.is_some() {
                    (view.reading, view.as_of) = (reading, Some(now));
                }
            });
        });
        Self {
            client: None,
            listener,
            every: watch::Sender::new(parts.config.load().status_pages.every),
            last_asked: LastAsked::default(),
            running: BTreeMap::new(),
            loops: JoinSet::new(),
            shutdown,
        }
    }

    fn follow(&mut self, config: &Config) {
        let wanted: BTreeSet<&String> = pages(config).map(|(_, url)| url).collect();
        self.every.send_if_modified(|every| {
            std::mem::replace(every, config.status_pages.every) != config.status_pages.every
        });
        self.running.retain(|url, stop| {
            let stays = wanted.contains(url);
            if !stays {
                stop.cancel();
            }
            stays
        });
        self.last_asked.forget_older(config.status_pages.every);
        for url in wanted {
            if self.running.contains_key(url) {
                continue;
            }
            let Some(client) = self.client() else { return };
            let stop = self.shutdown.child_token();
            self.running.insert(url.clone(), stop.clone());
            let watcher = Watcher {
                client,
                every: self.every.subscribe(),
                listener: Arc::clone(&self.listener),
                last_asked: self.last_asked.clone(),
            };
            self.loops.spawn(watcher.watch(url.clone(), stop));
        }
    }

    /// Pages are an extra: that they cannot be read does not stop the daemon.
    fn client(&mut self) -> Option<Client> {
        if self.client.is_none() {
            match status_page::client() {
                Ok(client) => self.client = Some(client),
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    tracing::warn!(error, "no status page is read");
                }
            }
        }
        self.client.clone()
    }

    /// The failure of a loop. Those of pages that are gone end as they should.
    async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.loops.join_next().await {
                Some(Ok(())) => {}
                Some(Err(panicked)) => return anyhow::Error::from(panicked),
                None => std::future::pending().await,
            }
        }
    }
}
