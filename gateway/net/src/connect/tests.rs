use super::*;
use crate::tls::{
    CertificateStore, ServerTls, ServerTlsSettings, UpstreamTlsOptions, accept, self_signed_pair,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

const SOON: Duration = Duration::from_secs(10);

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn tls(http2: bool) -> (Arc<UpstreamTls>, ServerName<'static>) {
    let options = UpstreamTlsOptions {
        http2,
        ..UpstreamTlsOptions::default()
    };
    (
        UpstreamTls::build(&options).unwrap(),
        ServerName::try_from("up.test").unwrap(),
    )
}

#[tokio::test]
async fn a_cleartext_connection_carries_bytes_without_delay() {
    let (listener, address) = listener().await;
    let mut connected = connect(address, SOON, None).await.unwrap();
    let Connected::Tcp(stream) = &connected else {
        panic!("cleartext TCP")
    };
    assert!(stream.nodelay().unwrap());
    assert_eq!(connected.local_address().unwrap().ip(), address.ip());
    let (mut accepted, _) = listener.accept().await.unwrap();
    connected.write_all(b"ping").await.unwrap();
    connected.shutdown().await.unwrap();
    let mut received = String::new();
    accepted.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "ping");
}

#[tokio::test]
async fn a_port_without_a_listener_refuses() {
    let (closed, address) = listener().await;
    drop(closed);
    assert!(matches!(
        connect(address, SOON, None).await,
        Err(ConnectError::Refused)
    ));
    let missing = UpstreamAddress::Unix(Path::new("/nonexistent/upstream.sock"));
    assert!(matches!(
        connect(missing, SOON, None).await,
        Err(ConnectError::Refused)
    ));
}

#[tokio::test]
async fn the_timeout_covers_the_handshake() {
    let (_silent, address) = listener().await;
    let (config, name) = tls(false);
    let connecting = connect(address, Duration::from_millis(30), Some((&config, name)));
    assert!(matches!(connecting.await, Err(ConnectError::Timeout)));
}

#[tokio::test]
async fn a_peer_that_speaks_no_tls_is_a_tls_failure() {
    let (listener, address) = listener().await;
    let (config, name) = tls(false);
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let (connected, _stream) = tokio::join!(connect(address, SOON, Some((&config, name))), answering);
    assert!(matches!(connected, Err(ConnectError::Tls(_))), "{connected:?}");
}

#[tokio::test]
async fn tls_agrees_on_the_offered_protocol_over_tcp_and_unix_sockets() {
    let store = CertificateStore::build(&[], &[], self_signed_pair().unwrap()).unwrap();
    let server = ServerTls::build(&ServerTlsSettings::default(), Arc::new(store)).unwrap();
    for http2 in [true, false] {
        let (listener, address) = listener().await;
        let (config, name) = tls(http2);
        let accepting = async {
            accept(&server, listener.accept().await.unwrap().0, SOON)
                .await
                .unwrap()
        };
        let (connected, (mut accepted, facts)) =
            tokio::join!(connect(address, SOON, Some((&config, name))), accepting);
        let mut connected = connected.unwrap();
        assert!(connected.is_tls());
        assert_eq!((connected.is_http2(), facts.http2), (http2, http2));
        accepted.write_all(b"pong").await.unwrap();
        accepted.flush().await.unwrap();
        let mut received = [0; 4];
        connected.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"pong");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("up.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (config, name) = tls(true);
    let accepting = async {
        accept(&server, listener.accept().await.unwrap().0, SOON)
            .await
            .unwrap()
    };
    let connecting = connect(UpstreamAddress::Unix(&path), SOON, Some((&config, name)));
    let (connected, _) = tokio::join!(connecting, accepting);
    assert!(connected.unwrap().is_http2());
}
