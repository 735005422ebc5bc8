//! Messages as JSON, by the descriptors of the contracts: for terminals and sample data, not for speed.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(super::DESCRIPTORS).expect("the descriptors were made by the build")
});

/// Finds a message by its full name.
pub(super) fn message(name: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(name)
}

/// Returns every method of every service.
pub fn methods() -> Vec<MethodDescriptor> {
    POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

/// Returns the path under which a method is called.
pub fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// Finds a method by its name, `CreateLink` or `LinkAdmin/CreateLink`.
pub fn method(name: &str) -> Result<MethodDescriptor, String> {
    let (service, method) =
        name.rsplit_once('/').map_or((None, name), |(service, method)| (Some(service), method));
    let fits = |found: &MethodDescriptor| {
        let parent = found.parent_service();
        found.name() == method
            && service.is_none_or(|name| name == parent.name() || name == parent.full_name())
    };
    let methods = methods();
    let Some(found) = methods.iter().find(|found| fits(found)) else {
        let likeness = |found: &&MethodDescriptor| strsim::jaro_winkler(found.name(), method);
        let nearest = methods.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let nearest = nearest.map_or_else(String::new, |found| format!(", did you mean `{}`", found.name()));
        return Err(format!("there is no call `{name}`{nearest}; `smartlinks call` lists them all"));
    };
    Ok(found.clone())
}

/// Reads a request of a method.
pub fn parse(method: &MethodDescriptor, text: &str) -> Result<DynamicMessage, String> {
    let wrong =
        |error: serde_json::Error| format!("the request is no JSON of a {}: {error}", method.input().name());
    let mut json = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(method.input(), &mut json).map_err(wrong)?;
    json.end().map_err(wrong)?;
    Ok(message)
}

/// Writes a message, fields by their names in the contract.
pub fn print(message: &DynamicMessage) -> Result<String, String> {
    let mut json = serde_json::Serializer::pretty(Vec::new());
    message.serialize_with_options(&mut json, &options()).map_err(|error| error.to_string())?;
    String::from_utf8(json.into_inner()).map_err(|error| error.to_string())
}

/// Writes a message as JSON on one line, for programs that read line by line.
pub fn print_line(message: &DynamicMessage) -> Result<String, String> {
    let mut json = serde_json::Serializer::new(Vec::new());
    message.serialize_with_options(&mut json, &options()).map_err(|error| error.to_string())?;
    String::from_utf8(json.into_inner()).map_err(|error| error.to_string())
}

pub(super) fn options() -> SerializeOptions {
    SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false)
}

/// Encodes and decodes messages of a method that is known by its descriptor only.
#[derive(Clone, Debug)]
pub struct JsonCodec(pub MethodDescriptor);

impl Codec for JsonCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for JsonCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::Message::encode(&message, to).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for JsonCodec {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.output(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_by_name_and_a_near_miss_is_told() {
        assert!(method("CreateLink").is_ok());
        assert!(method("LinkAdmin/CreateLink").is_ok());
        assert!(method("smartlinks.v1.LinkAdmin/CreateLink").is_ok());
        assert!(method("LinkResolver/CreateLink").is_err());
        assert!(method("CreatLink").unwrap_err().contains("`CreateLink`"));
    }

    #[test]
    fn requests_are_json_of_their_message() {
        let method = method("UpdateLink").unwrap();
        let text = r#"{"link":{"shop":"s","slug":"l"},"updateMask":"defaultDestination"}"#;
        let message = parse(&method, text).unwrap();
        assert!(print(&message).unwrap().contains("\"update_mask\": \"defaultDestination\""));
        for bad in ["", "[]", "{\"lnk\":{}}", "{} {}", "{\"link\":3}"] {
            assert!(parse(&method, bad).is_err(), "{bad}");
        }
    }
}
