//! The HTTP server: the routes of every function, and those that only exist here.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::ListenerExt;
use functions::routes::ALL;
use shared::app::App;
use shared::http::client::ClientAddress;
use shared::http::layers::surround;
use shared::notify::mailbox::Mailbox;
use shared::secret::Secret;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::gateway::take_in;
use crate::{LocalError, dev};

/// How long requests that are running may hold up the end.
const GRACE: Duration = Duration::from_secs(10);

/// What the routes need that only exist here.
#[derive(Clone, Debug)]
pub struct Dev {
    /// What was delivered.
    pub mailbox: Mailbox,
    /// What the stand-in checkout signs its events with.
    pub webhook_secret: Secret,
}

/// Every route of `app`, and those that only exist here.
pub fn router(app: App, dev: Dev) -> Router {
    let routes = functions::routes::router(ALL).merge(dev::routes(dev));
    surround(routes, app).layer(from_fn(identify)).layer(from_fn(take_in))
}

/// Serves `router` until `shutdown`, then finishes what is in flight.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), LocalError> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection is slower than it could be");
        }
    });
    let (stopping, stopped) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        let _ = stopping.send(());
    };
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(shutdown).into_future();
    // A client that never finishes its request does not keep the server from ending.
    let patience = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(GRACE).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = serving => served.map_err(LocalError::Serve),
        () = patience => Ok(()),
    }
}

/// Tells the routes which address a request came from, as the gateway does on AWS.
async fn identify(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    if let Some(address) = peer {
        request.extensions_mut().insert(ClientAddress(address));
    }
    next.run(request).await
}
