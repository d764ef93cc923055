pub use rustls::pki_types::ServerName; use std::time::Duration;
pub struct UpstreamTls; impl UpstreamTls { pub fn id(&self)->u64{1} }
pub struct ServerTls; #[derive(Debug)] pub struct TlsFacts { pub version: &'static str, pub cipher: String, pub sni: Option<String>, pub client_verify: String } impl TlsFacts { pub fn is_http2(&self)->bool{false} }
impl ServerTls { pub async fn accept<S: tokio::io::AsyncRead+tokio::io::AsyncWrite+Unpin>(&self, s:S, _t:Duration)->std::io::Result<(S,TlsFacts)>{ let _ = s; Err(std::io::Error::other("x")) } }
