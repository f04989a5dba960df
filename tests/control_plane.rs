//! The harness itself: everything that the other tests rely on.

mod harness;

use harness::{Result, control_plane::ControlPlane};

#[tokio::test]
async fn the_control_plane_is_ready_in_seconds_and_kubectl_talks_to_it() -> Result<()> {
    let plane = ControlPlane::shared()?;
    eprintln!("the control plane was ready after {:?}", plane.start_took());
    assert!(plane.kubectl(&["version"])?.contains("Server Version: v1.36.3"));
    Ok(())
}
