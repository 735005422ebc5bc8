//! Compiles the protobuf contracts to Rust, without needing `protoc` on the machine.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    // tonic-prost-build emits no such line of its own: without it every source edit would recompile the contracts.
    println!("cargo:rerun-if-changed=proto");
    // The migrations are embedded in the binary by a macro that cargo does not watch.
    println!("cargo:rerun-if-changed=migrations");

    let mut contracts = fs::read_dir("proto/smartlinks/v1")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>, std::io::Error>>()?;
    // A folder has no order of its own, and reflection lists services in that of the files.
    contracts.sort();
    let descriptors = protox::compile(contracts, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
