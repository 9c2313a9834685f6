"""The portal's pages about calls, keys and models, and the frame around every page."""
