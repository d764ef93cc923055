use std::net::IpAddr; use std::rc::Rc;
#[derive(Debug, thiserror::Error)] pub enum DnsError { #[error("x")] NotFound, #[error("y")] Other(String) }
pub struct Addresses; impl Addresses { pub fn next(&self) -> IpAddr { IpAddr::from([127,0,0,1]) } }
pub struct Resolver; impl Resolver { pub fn new() -> Rc<Self> { Rc::new(Self) } pub async fn resolve(&self, _h: &str) -> Result<Addresses, DnsError> { Ok(Addresses) } }
