"""How files are opened in runtimes that `device_timer` does not know: each file goes to the device with every job, alone.

They need numpy and the runtime, and work from Python 3.8 on. What `open_session` returns is a `device_timer.Session`.
"""
