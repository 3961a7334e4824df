// Package servertest gives a test a PostgreSQL server of its own.
package servertest
