// Package export derives every other format from the reports of a class. Everything that a
// submission or a student wrote is bounded, and escaped as the format wants it.
package export
