"""What is known before the network: noise covariance, calibration region, coil sensitivity maps (ESPIRiT)."""
