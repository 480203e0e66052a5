"""Joins the layers below into the path of one action, and keeps missions, holds, budgets and kills."""
