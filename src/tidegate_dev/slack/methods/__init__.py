"""The Web API's methods: plain functions from a call to its answer, over the workspace."""
