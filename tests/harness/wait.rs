//! Waiting for something that must come true.

use std::{fmt, future::Future, thread, time::Duration};

use kube::{Api, Resource, runtime::wait::await_condition};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Failure, Result};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks `condition` again and again until it gives `Ok`; its `Err` is what was seen instead, and the last one is told
/// when `within` is over. A condition that hangs is given up at the same instant.
///
/// # Errors
/// When the condition did not come true in time.
pub async fn eventually<T, Seen: fmt::Display>(
    what: &str,
    within: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, Seen>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    let mut last = "nothing, the first look did not end".to_owned();
    loop {
        match timeout_at(deadline, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = seen.to_string(),
            Err(_) => return Err(late(what, within, &last)),
        }
        if Instant::now() + PAUSE > deadline {
            return Err(late(what, within, &last));
        }
        sleep(PAUSE).await;
    }
}

/// Watches one object until `condition` holds for it (`None`: it does not exist) and gives the object as it is then.
///
/// # Errors
/// When that takes longer than `within`, with the object as it is, or when the watch fails.
pub async fn eventually_object<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    within: Duration,
    condition: impl Fn(Option<&K>) -> bool + Send,
) -> Result<Option<K>>
where
    K: Resource + Clone + fmt::Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let watched = await_condition(api.clone(), name, |object: Option<&K>| condition(object));
    if let Ok(object) = timeout_at(Instant::now() + within, watched).await {
        return Ok(object?);
    }
    let object = api.get_opt(name).await?;
    Err(late(what, within, &serde_json::to_string_pretty(&object)?))
}

fn late(what: &str, within: Duration, last: &str) -> Failure {
    Failure::new(format!("{what}: not within {within:?}; last seen: {last}"))
}

/// Runs async work to its end from code that is not async, on a runtime of its own; may also be called by async code,
/// whose thread then stands still.
///
/// # Errors
/// Those of the work, or when there is no runtime to be had.
pub fn blocking<T: Send, Work: Future<Output = Result<T>>>(work: impl FnOnce() -> Work + Send) -> Result<T> {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work());
    let joined = thread::scope(|scope| scope.spawn(run).join());
    joined.unwrap_or_else(|_| Err(Failure::new("a task of the harness panicked")))
}
