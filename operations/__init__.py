"""The commands that package, deploy, emulate and operate a stage. They are not packaged."""
