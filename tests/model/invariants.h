// The invariants of the handoff, as questions to one state. Each answer is a sentence about what is
// wrong, or empty.
//
//  Owner: those awake who have read, done and noticed all never both own; with nobody stopped one
//  of
//    them does, as long as somebody is fit to.
//  Accept: with nobody stopped or just dead there is no instant without an acceptor, so accept sets
//    overlap at each switch, both ways. With somebody stopped there is one as soon as everything is
//    noticed and help, half a second at most, has begun.
//  Rights: a predecessor closes its listeners after it read `serving`, of one that was prepared and
//    has the token; an owner is never killed, aborted, nor its sockets unlinked. The token is read
//    once with success, once without.
//  Ends: with everybody awake and no further fault the world comes to rest: nobody waits for ever,
//    no steps go round, each handoff was reported once, no wish is forgotten, and somebody serves
//    unless the service was stopped or killed.
//
// Threads: one, that of the model.
#ifndef ZDD_TESTS_MODEL_INVARIANTS_H_
#define ZDD_TESTS_MODEL_INVARIANTS_H_

#include <string>

#include "tests/model/model.h"

namespace zdd::model {

// What must hold in every state.
std::string WrongIn(Model& model, const World& world);

// What must hold where nothing more can happen by itself: all are awake, and no fault follows.
std::string WrongAtEnd(Model& model, const World& world);

}  // namespace zdd::model

#endif  // ZDD_TESTS_MODEL_INVARIANTS_H_
