//! The heads of request and response.

use super::fields;
use crate::abi::maps;
use crate::abi::state::Head;
use crate::component::bindings::exchange::{HostRequestHead, HostResponseHead, HttpVersion};
use crate::component::bindings::types::{Field, FieldError};
use crate::component::desk;
use crate::component::handles::{RequestHead, ResponseHead};
use crate::component::state::State;
use http::header::HOST;
use http::{HeaderValue, Method, StatusCode, Version};
use tidegate_plugin::{Direction, Exchange, Source};
use wasmtime::Result;
use wasmtime::component::Resource;

type Edited = std::result::Result<(), FieldError>;

/// Reads; what an exchange that has ended would say is the type's default.
fn read<R: Default>(act: impl FnOnce(&mut Exchange) -> R) -> Result<R> {
    Ok(desk::exchange(act).unwrap_or_default())
}

/// Writes, as long as the head is the filter's to change.
fn write(direction: Direction, act: impl FnOnce(&mut Exchange) -> Edited) -> Result<Edited> {
    let is_held = desk::with(|desk| desk.lane(direction).head == Head::Held) == Some(true);
    if !is_held {
        return Ok(Err(FieldError::ReadOnly));
    }
    Ok(desk::exchange(act).unwrap_or(Err(FieldError::ReadOnly)))
}

/// The authority stands for it.
fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host")
}

fn authority(x: &Exchange) -> String {
    String::from_utf8_lossy(maps::authority(x)).into_owned()
}

fn set_authority(x: &mut Exchange, authority: &str) -> Edited {
    let value = HeaderValue::from_str(authority).map_err(|_| FieldError::BadValue)?;
    x.upstream.host_header = Some(value);
    Ok(())
}

fn values_of_query(query: &str, name: &str) -> Vec<String> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8_lossy()
            .into_owned()
    };
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .filter(|(key, _)| decode(key) == name)
        .map(|(_, value)| decode(value))
        .collect()
}

type Request = Resource<RequestHead>;
type Response = Resource<ResponseHead>;

impl HostRequestHead for State {
    fn version(&mut self, _: Request) -> Result<HttpVersion> {
        let version = desk::exchange(|x| match x.request.version {
            Version::HTTP_09 | Version::HTTP_10 => HttpVersion::Http10,
            Version::HTTP_2 => HttpVersion::Http2,
            Version::HTTP_3 => HttpVersion::Http3,
            _ => HttpVersion::Http11,
        });
        Ok(version.unwrap_or(HttpVersion::Http11))
    }

    fn method(&mut self, _: Request) -> Result<String> {
        read(|x| x.upstream_method().as_str().to_owned())
    }

    fn scheme(&mut self, _: Request) -> Result<String> {
        read(|x| x.request.scheme.to_owned())
    }

    fn authority(&mut self, _: Request) -> Result<String> {
        read(|x| authority(x))
    }

    fn path(&mut self, _: Request) -> Result<String> {
        read(|x| maps::path(x).into_owned())
    }

    fn set_method(&mut self, _: Request, method: String) -> Result<Edited> {
        write(Direction::Request, |x| {
            let method = Method::from_bytes(method.as_bytes()).map_err(|_| FieldError::BadValue)?;
            x.upstream.method = Some(method);
            Ok(())
        })
    }

    fn set_authority(&mut self, _: Request, authority: String) -> Result<Edited> {
        write(Direction::Request, |x| set_authority(x, &authority))
    }

    fn set_path(&mut self, _: Request, path: String) -> Result<Edited> {
        write(Direction::Request, |x| {
            maps::set_path(x, &path).map_err(|_| FieldError::BadValue)
        })
    }

    fn query(&mut self, _: Request, name: String) -> Result<Vec<String>> {
        read(|x| {
            let path = maps::path(x);
            let query = path.split_once('?').map_or("", |(_, query)| query);
            values_of_query(query, &name)
        })
    }

    fn get(&mut self, _: Request, name: String) -> Result<Option<String>> {
        read(|x| {
            if is_host(&name) {
                return Some(authority(x));
            }
            fields::first(&x.request.headers, &name)
        })
    }

    fn get_all(&mut self, _: Request, name: String) -> Result<Vec<Vec<u8>>> {
        read(|x| {
            if is_host(&name) {
                return vec![maps::authority(x).to_vec()];
            }
            fields::values(&x.request.headers, &name)
        })
    }

    fn set(&mut self, _: Request, name: String, value: String) -> Result<Edited> {
        let options = &self.generation.options;
        write(Direction::Request, |x| {
            if is_host(&name) {
                return set_authority(x, &value);
            }
            fields::set(&mut x.request.headers, &name, [value.as_bytes()], options)
        })
    }

    fn set_all(&mut self, _: Request, name: String, values: Vec<Vec<u8>>) -> Result<Edited> {
        let options = &self.generation.options;
        write(Direction::Request, |x| {
            if is_host(&name) {
                return Err(FieldError::BadName);
            }
            let values = values.iter().map(Vec::as_slice);
            fields::set(&mut x.request.headers, &name, values, options)
        })
    }

    fn append(&mut self, _: Request, name: String, value: String) -> Result<Edited> {
        let options = &self.generation.options;
        write(Direction::Request, |x| {
            if is_host(&name) {
                return Err(FieldError::BadName);
            }
            fields::append(&mut x.request.headers, &name, value.as_bytes(), options)
        })
    }

    fn remove(&mut self, _: Request, name: String) -> Result<Edited> {
        write(Direction::Request, |x| {
            if is_host(&name) {
                return Err(FieldError::BadName);
            }
            fields::remove(&mut x.request.headers, &name)
        })
    }

    fn entries(&mut self, _: Request) -> Result<Vec<Field>> {
        read(|x| {
            let mut all = fields::all(&x.request.headers);
            all.retain(|field| field.name != HOST.as_str());
            all.push(Field {
                name: HOST.as_str().to_owned(),
                value: maps::authority(x).to_vec(),
            });
            all
        })
    }

    fn drop(&mut self, _: Request) -> Result<()> {
        Ok(())
    }
}

impl HostResponseHead for State {
    fn status(&mut self, _: Response) -> Result<u16> {
        read(|x| x.response.status.as_u16())
    }

    fn set_status(&mut self, _: Response, status: u16) -> Result<Edited> {
        write(Direction::Response, |x| {
            let status = StatusCode::from_u16(status).map_err(|_| FieldError::BadValue)?;
            if status.is_informational() {
                return Err(FieldError::BadValue);
            }
            x.response.status = status;
            Ok(())
        })
    }

    fn is_local(&mut self, _: Response) -> Result<bool> {
        read(|x| x.source != Source::Service)
    }

    fn get(&mut self, _: Response, name: String) -> Result<Option<String>> {
        read(|x| fields::first(&x.response.headers, &name))
    }

    fn get_all(&mut self, _: Response, name: String) -> Result<Vec<Vec<u8>>> {
        read(|x| fields::values(&x.response.headers, &name))
    }

    fn set(&mut self, _: Response, name: String, value: String) -> Result<Edited> {
        let options = &self.generation.options;
        write(Direction::Response, |x| {
            fields::set(&mut x.response.headers, &name, [value.as_bytes()], options)
        })
    }

    fn set_all(&mut self, _: Response, name: String, values: Vec<Vec<u8>>) -> Result<Edited> {
        let options = &self.generation.options;
        write(Direction::Response, |x| {
            let values = values.iter().map(Vec::as_slice);
            fields::set(&mut x.response.headers, &name, values, options)
        })
    }

    fn append(&mut self, _: Response, name: String, value: String) -> Result<Edited> {
        let options = &self.generation.options;
        write(Direction::Response, |x| {
            fields::append(&mut x.response.headers, &name, value.as_bytes(), options)
        })
    }

    fn remove(&mut self, _: Response, name: String) -> Result<Edited> {
        write(Direction::Response, |x| {
            fields::remove(&mut x.response.headers, &name)
        })
    }

    fn entries(&mut self, _: Response) -> Result<Vec<Field>> {
        read(|x| fields::all(&x.response.headers))
    }

    fn drop(&mut self, _: Response) -> Result<()> {
        Ok(())
    }
}
