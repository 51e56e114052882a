# Initialdata for RT: users of the API with nothing but the right to see tickets, and a token.
@Users = map {
    { Name => $_->[0], Password => 'sync-password', Privileged => 1, Timezone => $_->[1],
        RealName => $_->[0], EmailAddress => "$_->[0]\@example.com" }
} (
    [ 'sync-utc',      'UTC' ],
    [ 'sync-new-york', 'America/New_York' ],
    [ 'sync-kolkata',  'Asia/Kolkata' ],
);

@ACL = map { { UserId => $_, Right => 'ShowTicket' } } qw(sync-utc sync-new-york sync-kolkata);

@CustomFields = (
    { Name => 'Größe', Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => 0 },
);
push @ACL, map { { UserId => $_, Right => 'SeeCustomField' } } qw(sync-utc sync-kolkata);

@Final = (
    sub {
        my $user = RT::User->new( RT->SystemUser );
        $user->Load('sync-kolkata');
        my ( $ok, $said, $token )
            = RT::AuthToken->new( RT->SystemUser )->Create( Owner => $user->Id, Description => 'sync' );
        die $said unless $ok;
        print "token: $token\n";
    },
);
