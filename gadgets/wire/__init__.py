"""The wire: messages of the Gadgetron protocol, bounded and guarded, over sockets; who may connect, how it ends."""
